package idserver

import (
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/sessioncodec"
)

// Of two versions of a session, the later tokens are kept, the fewer roles of the same ones, and when it was seen last.
func TestLaterSession(t *testing.T) {
	w := &web{cfg: Config{}.withDefaults()} // an hour without use
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	made := func(version int64, roles string, seen time.Duration) *session {
		kept := sessioncodec.Record{ID: [32]byte{1}, Version: version}
		return newSession(kept, &User{Issuer: "i", Subject: "s"}, Tokens{rolesFrom: roles}, now, now.Add(seen))
	}
	for name, row := range map[string]struct {
		known, s *session
		version  int64
		roles    string
		seen     time.Duration
	}{
		"the store's is later":            {made(3, "id_token", 0), made(2, "id_token", time.Minute), 3, "id_token", 0},
		"the store's is later, seen ago":  {made(3, "id_token", 0), made(2, "id_token", 7*time.Minute), 3, "id_token", 7 * time.Minute},
		"the store's is earlier":          {made(2, "id_token", 0), made(3, "id_token", time.Minute), 3, "id_token", time.Minute},
		"earlier, and seen later":         {made(2, "id_token", time.Hour), made(3, "id_token", time.Minute), 3, "id_token", time.Hour},
		"the same":                        {made(2, "id_token", 0), made(2, "id_token", 5*time.Minute), 2, "id_token", 0},
		"the same, seen ago":              {made(2, "id_token", 0), made(2, "id_token", 7*time.Minute), 2, "id_token", 7 * time.Minute},
		"the same, seen before":           {made(2, "id_token", 7*time.Minute), made(2, "id_token", 0), 2, "id_token", 7 * time.Minute},
		"it has lost its roles":           {made(2, "id_token", 0), made(2, fromNowhere, time.Minute), 2, fromNowhere, time.Minute},
		"the store's has lost its roles":  {made(2, fromNowhere, 0), made(2, "id_token", time.Minute), 2, fromNowhere, 0},
		"a later one has roles once more": {made(2, fromNowhere, 0), made(3, "id_token", time.Minute), 3, "id_token", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.later(row.known, row.s)
			if got.kept.Version != row.version || got.tokens.rolesFrom != row.roles || got.seen.Sub(now) != row.seen {
				t.Errorf("version %d, roles from %s, seen %v", got.kept.Version, got.tokens.rolesFrom, got.seen.Sub(now))
			}
		})
	}
}
