package idserver

import "strings"

// asciiHost returns the ASCII form of a host (RFC 3490, RFC 3492), to be shown in an error: nothing is connected to by it.
// It lower-cases and does no other mapping.
func asciiHost(host string) string {
	labels := strings.Split(strings.ToLower(host), ".")
	for i, label := range labels {
		if strings.ContainsFunc(label, func(c rune) bool { return c >= 0x80 }) {
			labels[i] = "xn--" + punycode(label)
		}
	}
	return strings.Join(labels, ".")
}

// punycode encodes a label, RFC 3492 section 6.3.
func punycode(label string) string {
	const base, tMin, tMax, skew, damp = 36, 1, 26, 38, 700
	runes := []rune(label)
	var out []byte
	for _, c := range runes {
		if c < 0x80 {
			out = append(out, byte(c))
		}
	}
	basic := len(out)
	if basic > 0 {
		out = append(out, '-')
	}
	n, delta, bias, done := rune(0x80), 0, 72, basic
	for done < len(runes) {
		next := rune(0x10ffff)
		for _, c := range runes {
			if c >= n && c < next {
				next = c
			}
		}
		delta += int(next-n) * (done + 1)
		n = next
		for _, c := range runes {
			if c < n {
				delta++
			}
			if c != n {
				continue
			}
			q := delta
			for k := base; ; k += base {
				t := min(max(k-bias, tMin), tMax)
				if q < t {
					break
				}
				out = append(out, digit(t+(q-t)%(base-t)))
				q = (q - t) / (base - t)
			}
			out = append(out, digit(q))
			// adapt, section 6.1
			if delta /= 2; done == basic {
				delta = delta * 2 / damp
			}
			delta += delta / (done + 1)
			k := 0
			for ; delta > (base-tMin)*tMax/2; k += base {
				delta /= base - tMin
			}
			bias = k + (base-tMin+1)*delta/(delta+skew)
			delta, done = 0, done+1
		}
		delta, n = delta+1, n+1
	}
	return string(out)
}

func digit(d int) byte { return "abcdefghijklmnopqrstuvwxyz0123456789"[d] }
