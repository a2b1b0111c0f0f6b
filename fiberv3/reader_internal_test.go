package idfiber

import (
	"io"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"
)

// A request that is kept against the documentation gives nothing once it is over.
func TestKeptReader(t *testing.T) {
	app := fiber.New()
	var request fasthttp.RequestCtx
	request.Request.Header.Set("X-Learnt-Later", "one")
	request.Request.SetBodyString("body")
	c := app.AcquireCtx(&request)
	defer app.ReleaseCtx(c)
	r := &reader{c: c}
	kept := r.request()
	if got := kept.Header.Values("X-Learnt-Later"); len(got) != 1 || got[0] != "one" {
		t.Fatalf("during the request the field is %q", got)
	}
	r.release()
	if got := kept.Header.Values("X-Learnt-Later"); got != nil {
		t.Errorf("after the request the field is %q", got)
	}
	if got, err := io.ReadAll(kept.Body); err != nil || len(got) > 0 {
		t.Errorf("after the request the body is %q, %v", got, err)
	}
}
