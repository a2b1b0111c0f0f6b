package idserver

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/fault"
)

// wellKnownResource is where clients look for the metadata of a resource, before the path of its identifier (RFC 9728 section 3.1).
const wellKnownResource = "/.well-known/oauth-protected-resource"

// metadataFresh is how long clients may keep it.
const metadataFresh = "public, max-age=3600"

// resourceMetadata is the document of RFC 9728 section 2.
type resourceMetadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	ScopesSupported      []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported,omitempty"`
	Name                 string   `json:"resource_name,omitempty"`
	ProofAlgorithms      []string `json:"dpop_signing_alg_values_supported,omitempty"`
	OnlyProofs           bool     `json:"dpop_bound_access_tokens_required,omitempty"`
	Certificates         bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
}

// publish gives the API its documents and tells of them in its challenges. parent is the client that the API is made with.
func (c *Client) publish(cfg *ResourceConfig, parent *Client) (faults fault.List) {
	u, err := url.Parse(cfg.Identifier)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || !isDocumentPath(u.Path) || u.RawPath != "",
		u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		faults.Add("Identifier", "", "%q: want the URL at which clients reach the API, with https (http on loopback), a path of letters, digits and -._~/ and no query, to publish its metadata", shown(cfg.Identifier))
		return faults
	}
	path := strings.TrimSuffix(u.Path, "/")
	document := resourceMetadata{
		Resource: cfg.Identifier, AuthorizationServers: slices.Clone(cfg.AuthorizationServers), Name: cfg.Name,
		ScopesSupported: slices.Compact(slices.Sorted(slices.Values(slices.Concat(cfg.Scopes, cfg.MoreScopes)))),
	}
	if c.takesProofs() {
		document.ProofAlgorithms, document.OnlyProofs = apiProofAlgorithms, cfg.OnlyBound && !cfg.MTLS
	}
	document.Certificates = cfg.MTLS
	if document.AuthorizationServers == nil {
		document.AuthorizationServers = c.authorizationServers()
	}
	for _, server := range document.AuthorizationServers {
		if s, err := url.Parse(server); err != nil || isTemplate(server) || s.Host == "" || s.Scheme != "https" && s.Scheme != "http" || s.RawQuery != "" || s.Fragment != "" {
			faults.Add("AuthorizationServers", "", "%q: want the issuer of a provider, where clients get a token", shown(server))
		}
	}
	if c.header == authorization {
		document.BearerMethods = []string{"header"}
	}
	root := parent.publishedRoot.CompareAndSwap(false, true)
	if path == "" && !root {
		faults.Add("Identifier", "", "%q has no path, and the metadata of another API of this client is at the root already: make this one first", shown(cfg.Identifier))
	}
	body, err := json.Marshal(document)
	if err != nil {
		faults.Add("Name", "", "%v", err)
	}
	if len(faults) > 0 {
		return faults
	}

	own := u.Scheme + "://" + u.Host
	c.metadata = []parameter{{"resource_metadata", own + wellKnownResource + path}}
	c.cors.api = &apiPages{
		client: c, own: own, origins: cfg.Origins, all: slices.Contains(cfg.Origins, "*"), loopback: isLoopback(u.Hostname()),
	}
	places := []string{wellKnownResource + path}
	if root && path != "" {
		places = append(places, wellKnownResource)
	}
	for _, place := range places {
		c.documents = append(c.documents,
			siteRoute{method: http.MethodGet, path: place, headToo: true, step: func(context.Context, *Request) (Answer, error) { return openDocument(body), nil }},
			siteRoute{method: http.MethodOptions, path: place, step: func(_ context.Context, r *Request) (Answer, error) { return openPreflight(r), nil }},
		)
	}
	if len(cfg.Origins) > 0 {
		preflight := c.cors.guard(func(ctx context.Context, r Request) (context.Context, Answer) {
			return ctx, c.refuse(ctx, &r, refused(CodeMethodNotAllowed, nil))
		})
		c.documents = append(c.documents, siteRoute{method: http.MethodOptions, path: u.Path, step: func(ctx context.Context, r *Request) (Answer, error) {
			_, a := preflight(ctx, *r)
			return a, nil
		}})
	}
	return nil
}

// authorizationServers are the issuers of the providers whose tokens the API takes, as they are configured.
func (c *Client) authorizationServers() (all []string) {
	listed := []*Client{c}
	if c.issuers != nil {
		listed = c.issuers.listed
	}
	for _, one := range listed {
		issuer := one.cfg.Provider.Issuer
		if issuer == "" {
			issuer = one.cfg.Authority
		}
		if !slices.Contains(all, issuer) {
			all = append(all, issuer)
		}
	}
	return all
}

// isDocumentPath reports whether a path means itself to every router.
func isDocumentPath(path string) bool {
	odd := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._~/", r))
	}
	return !strings.ContainsFunc(path, odd) && !strings.Contains(path, "//") && !strings.Contains(path+"/", "/./") && !strings.Contains(path+"/", "/../")
}

// openDocument answers with a document that every page may read, and that is the same for everybody.
func openDocument(body []byte) Answer {
	return Answer{
		Status: http.StatusOK,
		Set: []Field{
			{"Content-Type", "application/json"}, {"X-Content-Type-Options", "nosniff"}, {"Cache-Control", metadataFresh}, {allowOrigin, "*"},
		},
		Body: body,
	}
}

// openPreflight lets every page ask for a document, with the header fields that MCP clients send.
func openPreflight(r *Request) Answer {
	return Answer{Status: http.StatusNoContent, Set: []Field{
		{allowOrigin, "*"}, {allowMethods, "GET"}, {allowHeaders, requestedHeaders(r, authorization, false)}, {allowMaxAge, "600"},
	}}
}

// apiPages says which pages may use an API with their scripts. There is no cookie, so that a page needs a token of its own, and no
// answer allows credentials.
type apiPages struct {
	client   *Client
	own      string // the API's origin
	origins  []string
	all      bool
	loopback bool // the API is on this machine
}

// guard refuses the pages that may not use an API, and lets others read its answers.
func (p *apiPages) guard(guard Guard) Guard {
	return func(ctx context.Context, r Request) (context.Context, Answer) {
		origin, err := p.check(&r)
		if err != nil {
			if _, ok := trialIn(ctx); ok {
				return ctx, p.client.deny(err)
			}
			return ctx, p.allow("", p.client.refuse(ctx, &r, err))
		}
		if origin != "" && r.Method == http.MethodOptions && r.value("Access-Control-Request-Method") != "" && len(r.values(p.client.header)) == 0 {
			return ctx, p.allow(origin, Answer{Status: http.StatusNoContent, Set: []Field{
				{allowMethods, "GET, HEAD, POST, PUT, PATCH, DELETE"}, {allowHeaders, requestedHeaders(&r, p.client.header, p.client.takesProofs())}, {allowMaxAge, "600"},
			}})
		}
		behind, a := guard(ctx, r)
		return behind, p.allow(origin, a)
	}
}

// check returns whom the answer may be told, "*" for every page and "" for none, or an error for a request of a page that may not
// send it. A browser that was led here by a name of the attacker's (DNS rebinding) tells so: in Origin, and in Host.
func (p *apiPages) check(r *Request) (allowed string, err error) {
	if p.loopback && !isLoopback(hostOf(r.Host)) {
		return "", refused(CodeCrossSite, errForeignHost)
	}
	switch lines := r.values("Origin"); {
	case len(lines) == 0, len(lines) == 1 && lines[0] == p.own:
		return "", nil
	case len(lines) > 1:
	case p.all:
		return "*", nil
	case slices.Contains(p.origins, lines[0]):
		return lines[0], nil
	}
	return "", refused(CodeCrossSite, errForeignOrigin)
}

// allow lets the pages of an origin read an answer, and what they need of its header.
func (p *apiPages) allow(origin string, a Answer) Answer {
	a.Add = append(slices.Clip(a.Add), varyOnOrigin)
	if origin != "" {
		exposed := "WWW-Authenticate, Retry-After, Mcp-Session-Id"
		if p.client.takesProofs() {
			exposed += ", DPoP-Nonce"
		}
		a.Set = append(slices.Clip(a.Set), Field{allowOrigin, origin}, Field{exposeHeaders, exposed})
	}
	return a
}

var (
	errForeignHost   = baseerror.New("the Host field does not name this machine, and the API is on it")
	errForeignOrigin = baseerror.New("the Origin field names a page that may not use the API")
)

// hostOf returns the host of a Host field, without its port.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}

// requestedHeaders are those of a preflight's Access-Control-Request-Headers that may be sent: the token's, that of its proof, those of
// a body, and those of MCP.
func requestedHeaders(r *Request, token string, proofs bool) string {
	wanted := r.value("Access-Control-Request-Headers")
	if len(wanted) > 1024 {
		return ""
	}
	var names []string
	for name := range strings.SplitSeq(wanted, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		isMCP := strings.HasPrefix(name, "mcp-") && isTokenField(name)
		if (isMCP || slices.Contains([]string{strings.ToLower(token), "content-type", "last-event-id"}, name) || proofs && name == "dpop") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// publishedFaults are what is wrong with the fields that belong to PublishMetadata.
func (cfg *ResourceConfig) publishedFaults() (faults fault.List) {
	for _, scope := range cfg.MoreScopes {
		if !claims.IsScope(scope) {
			faults.Add("MoreScopes", "", "has %q, which is not one scope", shown(scope))
		}
	}
	for _, origin := range cfg.Origins {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || u.Host == "" || origin != u.Scheme+"://"+strings.ToLower(u.Host)) {
			faults.Add("Origins", "", "%q: want an origin such as https://app.example.com, or *", shown(origin))
		}
	}
	if !cfg.PublishMetadata && (cfg.Name != "" || cfg.AuthorizationServers != nil || cfg.MoreScopes != nil || cfg.Origins != nil) {
		faults.Add("PublishMetadata", "", "is false, and Name, AuthorizationServers, MoreScopes and Origins are for published metadata")
	}
	return faults
}
