package idserver

import (
	"context"
	"slices"
)

// AllOf returns a guard that admits whom all of the guards admit. They are asked in order, each in the context behind the one
// before, so that the guards of one Client find out once who sent the request; the first that refuses answers. It panics if a
// guard is nil.
func AllOf(guard Guard, more ...Guard) Guard {
	guards := checkedGuards("AllOf", guard, more)
	return func(ctx context.Context, r Request) (context.Context, Answer) {
		behind, before := ctx, Answer{SameContext: true}
		for _, g := range guards {
			next, a := g(behind, r)
			a = a.after(before)
			if a.Ends() {
				return ctx, a
			}
			behind, before = next, a
		}
		return behind, before
	}
}

// AnyOf returns a guard that admits whom at least one of the guards admits. They are asked in order, until one does; the
// guards of one Client find out once who sent the request. If none does, the answer is, in this order: that of a guard that
// cannot tell now (a status of 500 or more), because it might have admitted; that of one that wants the sender to sign in again,
// in another way (see [Client.RequireAuthentication]); that of one that knows the sender, who may not do this (403); the way to
// sign in; that of one that wants another proof with the token; or that of the first guard. The log and Config.Events tell of that
// answer alone. It panics if a guard is nil.
func AnyOf(guard Guard, more ...Guard) Guard {
	guards := checkedGuards("AnyOf", guard, more)
	return func(ctx context.Context, r Request) (context.Context, Answer) {
		_, nested := trialIn(ctx)
		tried := ctx
		if !nested {
			t := new(trial)
			tried = t.context(ctx)
			defer t.end()
		}
		var best Answer
		var cookies, vary []Field
		for i, g := range guards {
			behind, a := g(tried, r)
			if a.admits() {
				if a.SameContext {
					behind = ctx
				}
				return behind, a.alsoSetting(cookies, vary)
			}
			cookies = fieldsAfter(cookies, a.added("Set-Cookie"), sameField)
			vary = fieldsAfter(vary, a.added("Vary"), sameField)
			if i == 0 || a.weight() > best.weight() {
				best = a
			}
		}
		if d := best.denied; d != nil && !nested {
			best = d.client.refuse(ctx, &r, d.err).after(best)
		}
		return ctx, best.alsoSetting(cookies, vary)
	}
}

// checkedGuards panics rather than let a guard be left out.
func checkedGuards(of string, guard Guard, more []Guard) []Guard {
	guards := append([]Guard{guard}, more...)
	if slices.ContainsFunc(guards, func(g Guard) bool { return g == nil }) {
		panic("idserver: " + of + ": a guard is nil")
	}
	return guards
}

// trial is what the guards of one [AnyOf] have in common while they are asked, by one goroutine: who sent the request is
// found out once, and a refusal is not rendered or logged before it is known to be the answer.
type trial struct {
	senders []sender
	over    bool // the guards behind have nothing to do with it
}

// sender is what a client found out about who sent a request with these credentials.
type sender struct {
	client               *Client
	credentials, cookies []string
	bound                string // to this method and URL, for an API that takes such
	found                identity
	err                  error
}

// denied is a refusal that is not rendered yet.
type denied struct {
	client *Client
	err    error
}

// trialIn returns the trial that a guard is asked in.
func trialIn(ctx context.Context) (*trial, bool) {
	if u := userContextFrom(ctx); u.inTrial() {
		return u.trial, true
	}
	return nil, false
}

// inTrial reports whether a context was made by a trial that goes on.
func (u *userContext) inTrial() bool { return u != nil && u.trial != nil && !u.trial.over }

// context returns the context in which the guards are asked: what guards before them found is still found.
func (t *trial) context(ctx context.Context) context.Context {
	u := &userContext{Context: ctx}
	if before := userContextFrom(ctx); before != nil {
		*u = *before
		u.Context = ctx
	}
	u.trial = t
	return u
}

func (t *trial) end() { t.over = true }

// identify finds out who sent the request, once for each client and the same credentials.
func (t *trial) identify(ctx context.Context, c *Client, r *Request) (identity, error) {
	credentials, cookies, bound := r.values(c.header), r.cookies(), ""
	if c.possession != nil {
		bound = c.credentials(r, false)
	}
	for _, s := range t.senders {
		if s.client != c || !slices.Equal(s.credentials, credentials) || !slices.Equal(s.cookies, cookies) || s.bound != bound {
			continue
		}
		if s.err == nil && len(credentials) == 0 && c.site.crossSite(*r) {
			break
		}
		return s.found, s.err
	}
	v, err := c.identify(ctx, r)
	t.senders = append(t.senders, sender{c, slices.Clone(credentials), slices.Clone(cookies), bound, v, err})
	return v, err
}

// deny is a refusal for a trial.
func (c *Client) deny(err error) Answer {
	d := denialOf(err)
	kind := refusalKinds[d.code]
	return Answer{
		Status: kind.status, Add: append(slices.Clip(c.vary), d.fields...), SameContext: true, denied: &denied{c, err},
		Refusal: &Refusal{Code: d.code, Status: kind.status, Title: kind.problem.title, Detail: kind.problem.detail, User: d.user, Authentication: d.authentication.clone(), Err: d.err},
	}
}

// admits reports whether a guard lets the request through, or has answered it well, as a preflight.
func (a *Answer) admits() bool { return !a.Ends() || a.Status < 300 }

// weight orders the answers of guards that do not admit.
func (a *Answer) weight() int {
	switch {
	case a.Status >= 500:
		return 5
	case a.stepsUp, a.Refusal != nil && a.Refusal.Code == CodeInsufficientAuthentication:
		return 4
	case a.Refusal != nil && a.Refusal.User != nil:
		return 3
	case a.Status < 400:
		return 2
	case a.Refusal != nil && a.Refusal.Code == CodeCrossSite: // a session that would be good here
		return 1
	case a.Refusal != nil && (a.Refusal.Code == codeInvalidProof || a.Refusal.Code == codeUseNonce): // it knows the token, and has the nonce
		return 1
	}
	return 0
}

// after returns an answer as it is behind a guard that let the request through with another answer: with its fields too, as if
// both were written.
func (a Answer) after(before Answer) Answer {
	a.Set = fieldsAfter(before.Set, a.Set, func(f, g Field) bool { return f.Name == g.Name })
	a.Absent = fieldsAfter(before.Absent, a.Absent, sameField)
	a.Add = fieldsAfter(before.Add, a.Add, sameField)
	a.SameContext = a.SameContext && before.SameContext
	return a
}

func sameField(f, g Field) bool { return f == g }

// fieldsAfter returns fields with those of before that they do not replace. It does not append in place: most are shared.
func fieldsAfter(before, fields []Field, replaces func(f, g Field) bool) []Field {
	var all []Field
	for _, f := range before {
		if !slices.ContainsFunc(fields, func(g Field) bool { return replaces(f, g) }) {
			all = append(all, f)
		}
	}
	if all == nil {
		return fields
	}
	return append(all, fields...)
}

func (a *Answer) added(name string) (fields []Field) {
	for _, f := range a.Add {
		if f.Name == name {
			fields = append(fields, f)
		}
	}
	return fields
}

// alsoSetting returns the answer with the cookies of guards that did not admit: those of a session that was renewed on the
// way must reach the browser. With them, it is for nobody else. The answer depends on what those guards looked at, too.
func (a Answer) alsoSetting(cookies, vary []Field) Answer {
	more := a
	more.Add = fieldsAfter(cookies, a.Add, sameField)
	if len(more.Add) > len(a.Add) && !a.Ends() {
		more.Set = append(slices.Clip(a.Set), nobodyElse)
	}
	more.Add = fieldsAfter(vary, more.Add, sameField)
	return more
}
