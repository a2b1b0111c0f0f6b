package idserver

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/signward/idserver-go/core/internal/sessioncodec"
)

func TestLoginOfAnotherVersionIsKept(t *testing.T) {
	c := byItself(t)
	name := c.site.(*web).loginCookie("state")
	sealed := func(packed []byte) Request {
		value, err := c.site.(*web).ring.Seal(c.cfg.Rand, name, packed)
		if err != nil {
			t.Fatal(err)
		}
		return Request{Header: http.Header{"Cookie": {name + "=" + value}}}
	}
	good, err := sessioncodec.PackLogin(sessioncodec.Login{State: "state", Begun: c.site.(*web).now().UnixMilli()})
	if err != nil {
		t.Fatal(err)
	}
	for title, row := range map[string]struct {
		packed        []byte
		opens, delete bool
	}{
		"this version":     {good, true, false},
		"another version":  {append([]byte{2}, good[1:]...), false, false},
		"another state":    {bytes.Replace(good, []byte(`"state":"state"`), []byte(`"state":"other"`), 1), false, true},
		"nothing readable": {[]byte("\x01{"), false, true},
	} {
		t.Run(title, func(t *testing.T) {
			r := sealed(row.packed)
			if open, _ := c.site.(*web).logins(&r); (len(open) == 1) != row.opens {
				t.Errorf("it opens: %v", !row.opens)
			}
			fields, err := c.site.(*web).keepLogin(&r, sessioncodec.Login{State: "new", Begun: c.site.(*web).now().UnixMilli()})
			if err != nil || (len(fields) == 2) != row.delete {
				t.Errorf("the fields are %d, %v", len(fields), err)
			}
		})
	}
}
