package replicas

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

const (
	atOnce = 3                      // requests of a page
	pages  = 6                      // at once, of all browsers: a slow machine answers fewer of them, and each as soon
	pause  = 300 * time.Millisecond // between pages
)

func isRefresh(form url.Values) bool { return form.Get("grant_type") == "refresh_token" }

// counts are what the browsers saw.
type counts struct {
	mu          sync.Mutex
	requests    int
	signIns     int
	signOuts    int
	unavailable int // answers of 503
	wrong       int // answered as somebody else
	odd         map[string]int
}

func (c *counts) add(f func(c *counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
}

// crowd lets browsers visit a site until ctx ends: each asks for a page of several requests at once, again and again, and signs
// in again if it must.
func crowd(ctx context.Context, t *testing.T, s *site, browsers int) *counts {
	c := &counts{odd: map[string]int{}}
	var all sync.WaitGroup
	for i := range browsers {
		all.Go(func() {
			b := newBrowser(s, person(i))
			for ctx.Err() == nil {
				if err := b.visits(ctx, c); err != nil && ctx.Err() == nil {
					t.Errorf("%s: %v", b.person.Login, err)
					return
				}
			}
		})
	}
	all.Wait()
	return c
}

// browser is one person's. The requests of a page share its cookies.
type browser struct {
	site   *site
	person idtest.Person
	client *http.Client
}

func newBrowser(s *site, who idtest.Person) *browser {
	jar, _ := cookiejar.New(nil) // without options there is no error
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{s, who, &http.Client{Jar: jar, Transport: s, CheckRedirect: stay}}
}

// visits signs in, and asks for pages until that is over.
func (b *browser) visits(ctx context.Context, c *counts) error {
	if err := b.signsIn(ctx); err != nil {
		return err
	}
	c.add(func(c *counts) { c.signIns++ })
	for ctx.Err() == nil {
		if b.took(b.asks(ctx), c) {
			return nil
		}
		wait(ctx, pause)
	}
	return nil
}

func (b *browser) signsIn(ctx context.Context) error {
	defer b.site.enter()()
	return b.site.signIn(ctx, b)
}

// asks sends the requests of a page. One that was cut off at the end has status 0.
func (b *browser) asks(ctx context.Context) []answer {
	defer b.site.enter()()
	var requests sync.WaitGroup
	answers := make([]answer, atOnce)
	for i := range answers {
		requests.Go(func() { answers[i], _ = b.get(ctx, pathMe, fetches) })
	}
	requests.Wait()
	return answers
}

// took counts the answers to a page. It reports whether the session is over.
func (b *browser) took(answers []answer, c *counts) (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range answers {
		switch a.status {
		case 0:
			continue
		case http.StatusOK:
			if a.body != b.person.Email {
				c.wrong++
			}
		case http.StatusUnauthorized:
			over = true
		case http.StatusServiceUnavailable:
			c.unavailable++
		default:
			c.odd[http.StatusText(a.status)+" "+a.body]++
		}
		c.requests++
	}
	if over {
		c.signOuts++
	}
	return over
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

type answer struct {
	status         int
	location, body string
}

var (
	navigates = map[string]string{"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin"}
	fetches   = map[string]string{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}
)

func (b *browser) get(ctx context.Context, path string, header map[string]string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.site.base+path, nil)
	if err != nil {
		return answer{}, err
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	response, err := b.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{response.StatusCode, response.Header.Get("Location"), string(body)}, nil
}
