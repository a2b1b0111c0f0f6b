package endpoint

import (
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Redacted stands in place of a text that repeats what was sent.
const Redacted = "[redacted: it repeats what was sent]"

// secrets are values that were sent and must not show up in any text: some providers repeat the code or the token that
// they refuse, in some spelling, or a part of it.
type secrets []string

// fragment is how many bytes in a row of a secret are too many.
const fragment = 8

// maxExamined is how much of a text is looked at; the rest is left out.
const maxExamined = 4 << 10

// hide makes a stranger's text fit for errors and logs.
func (s secrets) hide(text string, most int) string {
	return s.orRedacted(Printable(text, maxExamined), most)
}

func (s secrets) orRedacted(text string, most int) string {
	if s.in(text) {
		return Redacted
	}
	return strings.TrimSpace(Cut(text, most))
}

// in reports whether text holds a fragment of a secret in any spelling.
func (s secrets) in(text string) bool {
	held := spellings(text)
	windows := map[string]bool{}
	for _, spelt := range held {
		for i := range len(spelt) - fragment + 1 {
			windows[spelt[i:i+fragment]] = true
		}
	}
	for _, secret := range s {
		for _, spelt := range spellings(secret) {
			if spelt != "" && len(spelt) < fragment && slices.ContainsFunc(held, func(h string) bool { return strings.Contains(h, spelt) }) {
				return true
			}
			for i := range len(spelt) - fragment + 1 {
				if windows[spelt[i:i+fragment]] {
					return true
				}
			}
		}
	}
	return false
}

// maxSpellings limits how many spellings of a text are compared.
const maxSpellings = 16

// spellings returns a text and what it stands for if it is escaped for a URL, a form, HTML or JSON, or several of them in
// any order; all in lower case, for a secret of hexadecimal digits has two spellings.
func spellings(text string) []string {
	all := []string{text}
	for i := 0; i < len(all); i++ {
		for _, unescape := range []func(string) string{unescapePercent, unescapePlus, html.UnescapeString, unescapeBackslash} {
			if plain := unescape(all[i]); len(all) < maxSpellings && !slices.Contains(all, plain) {
				all = append(all, plain)
			}
		}
	}
	for i := range all {
		all[i] = strings.ToLower(all[i])
	}
	return all
}

// unescapePercent decodes each %xx by itself: one that is cut or wrong must not keep the others.
func unescapePercent(text string) string {
	parts := strings.Split(text, "%")
	for i, part := range parts[1:] {
		plain, err := "", error(strconv.ErrSyntax)
		if len(part) >= 2 {
			plain, err = url.PathUnescape("%" + part[:2])
		}
		if err != nil {
			parts[i+1] = "%" + part
			continue
		}
		parts[i+1] = plain + part[2:]
	}
	return strings.Join(parts, "")
}

func unescapePlus(text string) string { return strings.ReplaceAll(text, "+", " ") }

// unescapeBackslash decodes \uXXXX, and of \x keeps x.
func unescapeBackslash(text string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, `\`)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		if text = after; len(text) >= 5 && text[0] == 'u' {
			if r, err := strconv.ParseUint(text[1:5], 16, 16); err == nil {
				out.WriteRune(rune(r))
				text = text[5:]
			}
		}
	}
}

// Printable keeps what can be seen of a stranger's text, at most that many bytes: it must not be able to forge log lines, or
// to turn their direction. It leaves out what RFC 6749 section 5.2 does not allow: quotation marks and backslashes.
func Printable(text string, most int) string {
	return visible(strings.NewReplacer(`"`, "", `\`, "").Replace(text), most)
}

func visible(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(Cut(text, most))
}

// Cut cuts a stranger's text between characters, at that many bytes.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

// hiddenError is an error whose text repeats what was sent, or what a stranger wrote.
type hiddenError struct {
	err  error
	text string
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.err }

// maxErrorText limits the text of a transport's error, in bytes: net/http puts malformed header lines into it.
const maxErrorText = 512

func (s secrets) hideError(err error) error {
	if text := s.orRedacted(visible(err.Error(), maxExamined), maxErrorText); text != err.Error() {
		return &hiddenError{err, text}
	}
	return err
}
