package postgresstore

import (
	"context"
	"time"
)

const (
	expiredEvery  = time.Minute      // how often what has expired is deleted
	expiredWithin = 20 * time.Second // how long one deletion may take
	expiredAtOnce = 500              // rows of one statement, so that none holds locks for long
)

// DeleteExpired deletes the rows whose expiry has passed, some hundreds at a time, and returns how many there were. Writes do
// it by themselves; it is for who wants it at other times. Rows that another replica is deleting are left to it.
func (s *Store) DeleteExpired(ctx context.Context) (deleted int64, err error) {
	for {
		rows := int64(0)
		err := s.do(ctx, writes, func(q *statements) error {
			tag, err := s.pool.Exec(ctx, q.deleteExpired, expiredAtOnce)
			rows = tag.RowsAffected()
			return err
		})
		deleted += rows
		if err != nil || rows < expiredAtOnce {
			return deleted, err
		}
	}
}

// deleteExpiredBeside deletes in the background what has expired, if that was not done for a while. Its error is nobody's: the next
// write after a minute tries again, and what keeps it from deleting keeps everybody from writing.
func (s *Store) deleteExpiredBeside() {
	now, last := time.Now().UnixNano(), s.swept.Load()
	if now-last < int64(expiredEvery) || s.life.Err() != nil || !s.swept.CompareAndSwap(last, now) {
		return
	}
	s.beside.Go(func() {
		ctx, cancel := context.WithTimeout(s.life, expiredWithin)
		defer cancel()
		_, _ = s.DeleteExpired(ctx)
	})
}
