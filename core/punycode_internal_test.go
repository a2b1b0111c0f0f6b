package idserver

import "testing"

// The labels of RFC 3492 section 7.1, and hosts.
func TestASCIIHost(t *testing.T) {
	for host, want := range map[string]string{
		"bücher.example":      "xn--bcher-kva.example",
		"BÜCHER.example:8443": "xn--bcher-kva.example:8443",
		"münchen.de":          "xn--mnchen-3ya.de",
		"例子.中国":               "xn--fsqu00a.xn--fiqs8s",
		"他们为什么不说中文":           "xn--ihqwcrb4cv8a8dqg056pqjye",
		"なぜみんな日本語を話してくれないのか":           "xn--n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa",
		"почемужеонинеговорятпорусски": "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l",
		"login.例え.jp":            "login.xn--r8jz45g.jp",
		"pročprostěnemluvíčesky": "xn--proprostnemluvesky-uyb24dma41a",
	} {
		if got := asciiHost(host); got != want {
			t.Errorf("%s becomes %s, want %s", host, got, want)
		}
	}
}
