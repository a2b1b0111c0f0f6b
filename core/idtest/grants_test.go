package idtest_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

// refreshed sends a refresh token and returns the next, or "" with the error.
func refreshed(t *testing.T, p *idtest.Provider, token string) (next, fault string) {
	t.Helper()
	answer := post(t, p, "/connect/token", refreshForm(token)).json(t)
	next, _ = answer["refresh_token"].(string)
	fault, _ = answer["error"].(string)
	return next, fault
}

// What providers do with a refresh token that comes a second time.
func TestSecondUseOfARefreshToken(t *testing.T) {
	for name, row := range map[string]struct {
		dialect idtest.Dialect
		after   time.Duration
		again   bool // it is answered
		first   bool // what the first use brought is good afterwards
	}{
		"strict":                     {idtest.Dialect{}, 0, false, false},
		"no reuse detection":         {idtest.Dialect{NoReuseDetection: true}, 0, false, true},
		"within the grace period":    {idtest.Dialect{RefreshGrace: 30 * time.Second}, 29 * time.Second, true, true},
		"at the end of the period":   {idtest.Dialect{RefreshGrace: 30 * time.Second}, 30 * time.Second, false, false},
		"the last replay wins":       {idtest.Dialect{RefreshGrace: time.Minute, LastReplayWins: true}, time.Second, true, false},
		"late, the last replay wins": {idtest.Dialect{RefreshGrace: time.Minute, LastReplayWins: true}, time.Minute, false, false},
		"late, nothing is revoked":   {idtest.Dialect{RefreshGrace: time.Second, NoReuseDetection: true}, time.Minute, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := idtest.NewProvider(t, func(o *idtest.Options) { o.Dialect = row.dialect })
			token := tokens(t, p, "alice")["refresh_token"].(string)
			brought, _ := refreshed(t, p, token)
			later, _ := refreshed(t, p, brought)
			p.Advance(row.after)
			next, fault := refreshed(t, p, token)
			equal(t, "answered again", next != "", row.again)
			equal(t, "refused", fault == "invalid_grant", !row.again)
			equal(t, "what came of the first use is revoked", p.Revoked(later), !row.first)
			if row.again {
				equal(t, "the newest is revoked", p.Revoked(next), false)
			}
			counts := p.RefreshCounts()
			want := idtest.RefreshCounts{Answered: 2, Reused: 1}
			if row.again {
				want = idtest.RefreshCounts{Answered: 3, Replayed: 1}
			}
			equal(t, "the counts", counts, want)
			p.ResetRequests()
			equal(t, "the counts after a reset", p.RefreshCounts(), idtest.RefreshCounts{})
		})
	}
}

// An answer is lost after the provider has acted: the token is used up. Here, each second one.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := idtest.NewProvider(t, inMemory)
		token := tokens(t, p, "alice")["refresh_token"].(string)
		p.Fail(idtest.Token, idtest.Fault{Lost: true, Every: 2})
		next, _ := refreshed(t, p, token)
		if _, err := try(t.Context(), p, http.MethodPost, "/connect/token", refreshForm(next).Encode(), "Content-Type", "application/x-www-form-urlencoded"); err == nil {
			t.Fatal("the second is answered")
		}
		_, fault := refreshed(t, p, next)
		equal(t, "the error of a token whose answer was lost", fault, "invalid_grant")
		equal(t, "the counts", p.RefreshCounts(), idtest.RefreshCounts{Answered: 2, Reused: 1, Lost: 1})

		p.Heal(idtest.Token)
		token = tokens(t, p, "bob")["refresh_token"].(string)
		p.Fail(idtest.Token, idtest.Fault{Lost: true, Hang: true})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := try(ctx, p, http.MethodPost, "/connect/token", refreshForm(token).Encode(), "Content-Type", "application/x-www-form-urlencoded")
		equal(t, "the client's deadline ends it", errors.Is(err, context.DeadlineExceeded), true)
		equal(t, "it was acted upon", p.RefreshCounts().Lost, 2)
	})
}
