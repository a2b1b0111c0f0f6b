package postgresstore

import "time"

// WaitBeside waits for the deletions in the background.
func (s *Store) WaitBeside() { s.beside.Wait() }

// DeletedBefore sets when what has expired was deleted last.
func (s *Store) DeletedBefore(ago time.Duration) { s.swept.Store(time.Now().Add(-ago).UnixNano()) }
