package idserver

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"unicode"
)

// The values of Config.LogSubject.
const (
	subjectHashed  = "hashed"
	subjectPlain   = "plain"
	subjectOmitted = "omitted"
)

// discreet is a slog.Handler that keeps people's names out of the log, whoever writes the line: of the attribute subject
// it lets pass what Config.LogSubject allows, and in error, which may quote the provider, it covers e-mail addresses.
type discreet struct {
	slog.Handler
	how    string
	key    []byte
	issuer string
}

// discreetly wraps the logger of a configuration whose defaults are filled in.
func discreetly(cfg Config) *slog.Logger {
	if cfg.LogSubject == subjectPlain {
		return cfg.Logger
	}
	key := sha256.Sum256([]byte("log\x00" + cfg.SessionSecret))
	if cfg.SessionSecret == "" {
		_, _ = rand.Read(key[:]) // it never fails
	}
	issuer := cmp.Or(cfg.Provider.Issuer, cfg.Authority)
	return slog.New(discreet{Handler: cfg.Logger.Handler(), how: cfg.LogSubject, key: key[:], issuer: issuer})
}

// Handle implements [slog.Handler].
func (d discreet) Handle(ctx context.Context, r slog.Record) error {
	own := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "subject":
			if d.how == subjectOmitted {
				return true
			}
			a.Value = slog.StringValue(d.hash(a.Value.String()))
		case "error", "reason":
			a.Value = slog.StringValue(withoutAddresses(a.Value.String()))
		}
		own.AddAttrs(a)
		return true
	})
	return d.Handler.Handle(ctx, own)
}

// WithAttrs implements [slog.Handler].
func (d discreet) WithAttrs(attrs []slog.Attr) slog.Handler {
	d.Handler = d.Handler.WithAttrs(attrs)
	return d
}

// WithGroup implements [slog.Handler].
func (d discreet) WithGroup(name string) slog.Handler {
	d.Handler = d.Handler.WithGroup(name)
	return d
}

// hash is 64 bits of a keyed hash: enough to tell people apart, and without the key no list of subjects finds one.
func (d discreet) hash(subject string) string {
	h := hmac.New(sha256.New, d.key)
	h.Write([]byte(d.issuer + "\x00" + subject))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// withoutAddresses covers what looks like an e-mail address: some providers name the person in their errors.
func withoutAddresses(text string) string {
	for from := 0; ; {
		at, sign := nextAt(text[from:])
		if sign == "" {
			return text
		}
		at += from
		begin := len(strings.TrimRightFunc(text[:at], isOfAddress))
		domain := text[at+len(sign):]
		domain = domain[:len(domain)-len(strings.TrimLeftFunc(domain, isOfAddress))]
		if begin == at || !strings.Contains(strings.Trim(domain, "."), ".") {
			from = at + 1
			continue
		}
		const covered = "[address]"
		text = text[:begin] + covered + text[at+len(sign)+len(domain):]
		from = begin + len(covered)
	}
}

// nextAt finds the next at sign, as it is or as it stands in a URL that a provider quotes. sign is empty if there is none.
func nextAt(text string) (at int, sign string) {
	for _, spelling := range []string{"@", "%40", "%2540"} {
		if i := strings.Index(text, spelling); i >= 0 && (sign == "" || i < at) {
			at, sign = i, spelling
		}
	}
	return at, sign
}

func isOfAddress(c rune) bool {
	return unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune(".!#$%&*+-/=?^_`{|}~", c)
}
