package idserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

func TestNewAccepts(t *testing.T) {
	for name, edit := range map[string]func(*idserver.Config){
		"a web application":         func(*idserver.Config) {},
		"an API":                    func(c *idserver.Config) { *c = idserver.Config{Authority: "https://id.example"} },
		"a public client":           func(c *idserver.Config) { c.ClientSecret = "" },
		"http on localhost":         func(c *idserver.Config) { c.Authority, c.BaseURL = "http://localhost:5000", "http://localhost:8080" },
		"http below localhost":      func(c *idserver.Config) { c.Authority = "http://id.localhost:5000" },
		"http on 127.0.0.2":         func(c *idserver.Config) { c.Authority = "http://127.0.0.2:5000" },
		"http on IPv6 loopback":     func(c *idserver.Config) { c.Authority = "http://[::1]:5000" },
		"an authority with a slash": func(c *idserver.Config) { c.Authority = "https://id.example/" },
		"an authority with a path":  func(c *idserver.Config) { c.Authority = "https://id.example/realms/one" },
		"an issuer elsewhere":       func(c *idserver.Config) { c.Provider.Issuer = "https://issuer.example" },
		"all algorithms": func(c *idserver.Config) {
			c.Provider.Algorithms = []string{"RS256", "PS512", "ES384", "EdDSA", "Ed25519"}
		},
		"the most leeway":                     func(c *idserver.Config) { c.Provider.Leeway = 5 * time.Minute },
		"client_secret_basic":                 func(c *idserver.Config) { c.Provider.ClientAuth = "client_secret_basic" },
		"routes deeper":                       func(c *idserver.Config) { c.RoutesPath = "/account/auth" },
		"pages of the application":            func(c *idserver.Config) { c.AfterSignIn, c.AfterSignOut = "/welcome?x=1", "/" },
		"a trusted origin with a port":        func(c *idserver.Config) { c.TrustedOrigins = []string{"https://spa.example:8443"} },
		"a session secret of 32 bytes":        func(c *idserver.Config) { c.SessionSecret = "Vv8JZ1l1dB9cN3E2H5o7QwKfG0aXyT4b" },
		"an unverified provider on localhost": func(c *idserver.Config) { c.Authority, c.HTTP.InsecureSkipTLSVerify = "https://localhost:5001", true },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig()
			edit(&cfg)
			client, err := idserver.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			client.Close()
		})
	}
}

// Each row is one thing wrong; the error names the field, the variable where there is one, and no secret.
func TestNewRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(*idserver.Config)
		want []string
	}{
		"no authority":              {func(c *idserver.Config) { c.Authority = "" }, []string{"Authority", "IDSERVER_AUTHORITY", "empty"}},
		"an authority over http":    {func(c *idserver.Config) { c.Authority = "http://id.example" }, []string{"Authority", "IDSERVER_AUTHORITY", "https", "loopback"}},
		"localhost as a prefix":     {func(c *idserver.Config) { c.Authority = "http://localhost.evil.example" }, []string{"Authority", "loopback"}},
		"an authority that is none": {func(c *idserver.Config) { c.Authority = "id.example" }, []string{"Authority", "with a scheme and a host"}},
		"an authority of ftp":       {func(c *idserver.Config) { c.Authority = "ftp://id.example" }, []string{"Authority", "with a scheme and a host"}},
		"an authority without host": {func(c *idserver.Config) { c.Authority = "https://:443" }, []string{"Authority", "with a scheme and a host"}},
		"an authority not a URL":    {func(c *idserver.Config) { c.Authority = "https://id.example/%zz" }, []string{"Authority", "not a URL"}},
		"an authority with a user":  {func(c *idserver.Config) { c.Authority = "https://me@id.example" }, []string{"Authority", "no user"}},
		"an authority, fragment":    {func(c *idserver.Config) { c.Authority = "https://id.example/#x" }, []string{"Authority", "no fragment"}},
		"an issuer over http":       {func(c *idserver.Config) { c.Provider.Issuer = "http://id.example" }, []string{"Issuer", "IDSERVER_ISSUER", "https"}},
		"a WebBaseURL over http":    {func(c *idserver.Config) { c.Provider.WebBaseURL = "http://id.example" }, []string{"WebBaseURL", "https"}},
		"authorization over http":   {func(c *idserver.Config) { c.Provider.Endpoints.Authorization = "http://id.example/a" }, []string{"Endpoints.Authorization", "https"}},
		"token over http":           {func(c *idserver.Config) { c.Provider.Endpoints.Token = "http://id.example/t" }, []string{"Endpoints.Token", "https"}},
		"keys over http":            {func(c *idserver.Config) { c.Provider.Endpoints.JWKS = "http://id.example/j" }, []string{"Endpoints.JWKS", "https"}},
		"userinfo over http":        {func(c *idserver.Config) { c.Provider.Endpoints.UserInfo = "http://id.example/u" }, []string{"Endpoints.UserInfo", "https"}},
		"revocation over http":      {func(c *idserver.Config) { c.Provider.Endpoints.Revocation = "http://id.example/r" }, []string{"Endpoints.Revocation", "https"}},
		"end session over http":     {func(c *idserver.Config) { c.Provider.Endpoints.EndSession = "http://id.example/e" }, []string{"Endpoints.EndSession", "https"}},
		"a state as a parameter":    {func(c *idserver.Config) { c.AuthorizeParameters = url.Values{"State": {"x"}} }, []string{"AuthorizeParameters", "IDSERVER_AUTHORIZE_PARAMETERS", "State", "protocol"}},
		"a parameter without name":  {func(c *idserver.Config) { c.AuthorizeParameters = url.Values{"": {"x"}} }, []string{"AuthorizeParameters", "protocol"}},
		"a max_age of 0":            {func(c *idserver.Config) { c.AuthorizeParameters = url.Values{"max_age": {"0"}} }, []string{"AuthorizeParameters", "max_age", "whole seconds from 1"}},
		"a max_age of a minute":     {func(c *idserver.Config) { c.AuthorizeParameters = url.Values{"max_age": {"1m"}} }, []string{"AuthorizeParameters", "max_age", "1m"}},
		"a max_age twice":           {func(c *idserver.Config) { c.AuthorizeParameters = url.Values{"max_age": {"1", "2"}} }, []string{"AuthorizeParameters", "max_age", "once"}},
		"form_post over http":       {func(c *idserver.Config) { c.BaseURL, c.ResponseMode = "http://localhost:8080", "form_post" }, []string{"ResponseMode", "IDSERVER_RESPONSE_MODE", "https"}},
		"an unknown response mode":  {func(c *idserver.Config) { c.ResponseMode = "fragment" }, []string{"ResponseMode", "IDSERVER_RESPONSE_MODE", "fragment", "form_post"}},
		"a callback at the root":    {func(c *idserver.Config) { c.CallbackPath = "/" }, []string{"CallbackPath", "/signin-oidc"}},
		"a callback with a query":   {func(c *idserver.Config) { c.CallbackPath = "/signin?x" }, []string{"CallbackPath"}},
		"a callback with a pattern": {func(c *idserver.Config) { c.CallbackPath = "/{x}" }, []string{"CallbackPath"}},
		"a callback that is a URL":  {func(c *idserver.Config) { c.CallbackPath = "https://app.example/x" }, []string{"CallbackPath"}},
		"a callback at the login":   {func(c *idserver.Config) { c.CallbackPath = "/auth/Login" }, []string{"CallbackPath", "another route"}},
		"no client id":              {func(c *idserver.Config) { c.ClientID = "" }, []string{"ClientID", "IDSERVER_CLIENT_ID", "empty"}},
		"an unknown ClientAuth":     {func(c *idserver.Config) { c.Provider.ClientAuth = "client_secret_jwt" }, []string{"ClientAuth", "client_secret_jwt", "client_secret_basic", "private_key_jwt"}},
		"a method without its key":  {func(c *idserver.Config) { c.Provider.ClientAuth = "private_key_jwt" }, []string{"ClientAuth", "IDSERVER_CLIENT_AUTH", "ClientKeys (IDSERVER_CLIENT_KEYS)"}},
		"none with a secret":        {func(c *idserver.Config) { c.Provider.ClientAuth = "none" }, []string{"ClientAuth", "none", "ClientSecret"}},
		"a method without a secret": {func(c *idserver.Config) {
			c.Provider.ClientAuth, c.ClientSecret, c.ClientKeys = "client_secret_post", "", []idserver.ClientKey{{Private: signP256()}}
		}, []string{"ClientAuth", "ClientSecret (IDSERVER_CLIENT_SECRET)", "empty"}},
		"an unknown audience":       {func(c *idserver.Config) { c.Provider.AssertionAudience = "issuer" }, []string{"AssertionAudience", "token_endpoint"}},
		"a base URL over http":      {func(c *idserver.Config) { c.BaseURL = "http://app.example" }, []string{"BaseURL", "BASE_URL", "https"}},
		"an API with a secret":      {func(c *idserver.Config) { c.BaseURL = "" }, []string{"SessionSecret", "SESSION_SECRET", "BaseURL", "BASE_URL"}},
		"no session secret":         {func(c *idserver.Config) { c.SessionSecret = "" }, []string{"SessionSecret", "SESSION_SECRET", "empty", "openssl rand"}},
		"a short session secret":    {func(c *idserver.Config) { c.SessionSecret = shortSecret }, []string{"SessionSecret", "SESSION_SECRET", "12 bytes", "at least 32"}},
		"a short old secret":        {func(c *idserver.Config) { c.Session.OldSecrets = []string{shortSecret} }, []string{"Session.OldSecrets", "SESSION_SECRET_OLD", "12 bytes"}},
		"an empty old secret":       {func(c *idserver.Config) { c.Session.OldSecrets = []string{""} }, []string{"Session.OldSecrets", "empty"}},
		"HS256":                     {func(c *idserver.Config) { c.Provider.Algorithms = []string{"RS256", "HS256"} }, []string{"Algorithms", "HS256"}},
		"alg none":                  {func(c *idserver.Config) { c.Provider.Algorithms = []string{"none"} }, []string{"Algorithms", "none"}},
		"an empty algorithm":        {func(c *idserver.Config) { c.Provider.Algorithms = []string{""} }, []string{"Algorithms"}},
		"too much leeway":           {func(c *idserver.Config) { c.Provider.Leeway = 5*time.Minute + 1 }, []string{"Leeway", "5m0s"}},
		"too many token requests":   {func(c *idserver.Config) { c.Provider.TokenRequestsPerMinute = 1001 }, []string{"TokenRequestsPerMinute", "IDSERVER_TOKEN_REQUESTS_PER_MINUTE", "1000"}},
		"fewer than none":           {func(c *idserver.Config) { c.Provider.TokenRequestsPerMinute = -2 }, []string{"TokenRequestsPerMinute"}},
		"leeway below zero":         {func(c *idserver.Config) { c.Provider.Leeway = -1 }, []string{"Leeway"}},
		"timeout below zero":        {func(c *idserver.Config) { c.HTTP.Timeout = -1 }, []string{"Timeout"}},
		"a name of two lines":       {func(c *idserver.Config) { c.ApplicationName = "Or\nders" }, []string{"ApplicationName (APPLICATION_NAME)", "control"}},
		"a name of no letters":      {func(c *idserver.Config) { c.ApplicationName = "\xff" }, []string{"ApplicationName (APPLICATION_NAME)", "UTF-8"}},
		"a secret that repeats":     {func(c *idserver.Config) { c.SessionSecret = strings.Repeat("changeme", 4) }, []string{"SessionSecret (SESSION_SECRET)", "openssl rand"}},
		"a space behind the client": {func(c *idserver.Config) { c.ClientID += " " }, []string{"ClientID (IDSERVER_CLIENT_ID)", "white space"}},
		"a line behind the secret":  {func(c *idserver.Config) { c.ClientSecret += "\n" }, []string{"ClientSecret (IDSERVER_CLIENT_SECRET)", "white space"}},
		"a tab before the audience": {func(c *idserver.Config) { c.Audience = "\tapi" }, []string{"Audience (IDSERVER_AUDIENCE)", "white space"}},
		"scopes with commas":        {func(c *idserver.Config) { c.Scopes = []string{"openid,email"} }, []string{"Scopes (IDSERVER_SCOPES)", "commas"}},
		"two scopes in one":         {func(c *idserver.Config) { c.Scopes = []string{"openid email"} }, []string{"Scopes (IDSERVER_SCOPES)", "spaces"}},
		"a host beyond ASCII":       {func(c *idserver.Config) { c.Authority = "https://bücher.example" }, []string{"xn--bcher-kva.example"}},
		"a way to log nobody knows": {func(c *idserver.Config) { c.LogSubject = "loud" }, []string{"LogSubject (IDSERVER_LOG_SUBJECT)", "hashed"}},
		"a name of 65 bytes":        {func(c *idserver.Config) { c.ApplicationName = strings.Repeat("x", 65) }, []string{"ApplicationName (APPLICATION_NAME)", "64 bytes"}},
		"an empty part of a claim":  {func(c *idserver.Config) { c.RolesClaim = []string{"realm_access", ""} }, []string{"RolesClaim", "empty"}},
		"routes at the root":        {func(c *idserver.Config) { c.RoutesPath = "/" }, []string{"RoutesPath", "/auth"}},
		"routes without a slash":    {func(c *idserver.Config) { c.RoutesPath = "auth" }, []string{"RoutesPath"}},
		"routes that go up":         {func(c *idserver.Config) { c.RoutesPath = "/a/../auth" }, []string{"RoutesPath"}},
		"routes with a query":       {func(c *idserver.Config) { c.RoutesPath = "/auth?x" }, []string{"RoutesPath"}},
		"after sign-in elsewhere":   {func(c *idserver.Config) { c.AfterSignIn = "https://evil.example/" }, []string{"AfterSignIn", "path of this application"}},
		"after sign-out elsewhere":  {func(c *idserver.Config) { c.AfterSignOut = "//evil.example" }, []string{"AfterSignOut", "path of this application"}},
		"an origin with a path":     {func(c *idserver.Config) { c.TrustedOrigins = []string{"https://spa.example/"} }, []string{"TrustedOrigins", `want "https://spa.example"`}},
		"a wildcard in an origin":   {func(c *idserver.Config) { c.TrustedOrigins = []string{"https://*.example"} }, []string{"TrustedOrigins", "wildcard"}},
		"an origin in capitals":     {func(c *idserver.Config) { c.TrustedOrigins = []string{"https://SPA.example:443"} }, []string{"TrustedOrigins", `want "https://spa.example"`}},
		"a host without its scheme": {func(c *idserver.Config) { c.Authority = "id.example.test" }, []string{"IDSERVER_AUTHORITY", "with a scheme and a host"}},
		"a port without a scheme":   {func(c *idserver.Config) { c.Authority = "localhost:9000" }, []string{"IDSERVER_AUTHORITY", "http://... on loopback"}},
		"an address without scheme": {func(c *idserver.Config) { c.BaseURL = "127.0.0.1:8080" }, []string{"BASE_URL", "http://... on loopback"}},
		"a wildcard origin":         {func(c *idserver.Config) { c.TrustedOrigins = []string{"*"} }, []string{"TrustedOrigins"}},
		"the null origin":           {func(c *idserver.Config) { c.TrustedOrigins = []string{"null"} }, []string{"TrustedOrigins"}},
		"a session of a second":     {func(c *idserver.Config) { c.Session.Idle = time.Second }, []string{"Session.Idle", "minute"}},
		"idle beyond max":           {func(c *idserver.Config) { c.Session.Idle, c.Session.Max = 2*time.Hour, time.Hour }, []string{"Session.Idle", "Session.Max"}},
		"unverified TLS elsewhere":  {func(c *idserver.Config) { c.HTTP.InsecureSkipTLSVerify = true }, []string{"InsecureSkipTLSVerify", "loopback", "https://id.example"}},
		"unverified TLS, own client": {func(c *idserver.Config) {
			c.Authority, c.HTTP.InsecureSkipTLSVerify, c.HTTP.Client = "https://localhost", true, &http.Client{}
		}, []string{"InsecureSkipTLSVerify", "HTTP.Client"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig()
			row.edit(&cfg)
			client, err := idserver.New(cfg)
			if err == nil {
				client.Close()
				t.Fatal("it was accepted")
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want one with %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q has more than one fault", err)
			}
			if secret := leaks(err.Error(), configSecrets()...); secret != "" {
				t.Errorf("error %q holds the secret %q", err, secret)
			}
		})
	}
}

func TestNewReportsAllFaultsAtOnce(t *testing.T) {
	_, err := idserver.New(idserver.Config{
		BaseURL:       "http://app.example",
		SessionSecret: shortSecret,
		Provider:      idserver.ProviderConfig{ClientAuth: "tls", Leeway: time.Hour},
		RoutesPath:    "/",
		AfterSignIn:   "//evil.example",
	})
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, field := range []string{"IDSERVER_AUTHORITY", "BASE_URL", "IDSERVER_CLIENT_ID", "SESSION_SECRET", "ClientAuth", "Leeway", "RoutesPath", "AfterSignIn"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not in the error:\n%v", field, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 8 {
		t.Errorf("%d faults, want 8:\n%v", n, err)
	}
}

// Settings that look right, and lead elsewhere or nowhere: each is told by name when the program starts.
func TestConfigLooksRight(t *testing.T) {
	type cfg = *idserver.Config
	local := func(c cfg) {
		c.Authority, c.BaseURL, c.HTTP.InsecureSkipTLSVerify = "https://localhost:5001", "http://localhost:8080", true
	}
	for name, row := range map[string]struct {
		edit func(cfg)
		want []string
	}{
		"an authority with a query":       {func(c cfg) { c.Authority += "/?tenant=x" }, []string{"Authority", "query"}},
		"an authority with a bare ?":      {func(c cfg) { c.Authority += "/?" }, []string{"Authority", "query"}},
		"an authority with a bare #":      {func(c cfg) { c.Authority += "/#" }, []string{"Authority", "fragment"}},
		"an authority that goes up":       {func(c cfg) { c.Authority += "/a/../b" }, []string{"Authority", ".."}},
		"an authority with two slashes":   {func(c cfg) { c.Authority += "//a" }, []string{"Authority", "//"}},
		"an issuer with a query":          {func(c cfg) { c.Provider.Issuer = "https://issuer.example/?x" }, []string{"Issuer", "query"}},
		"an issuer with a bare #":         {func(c cfg) { c.Provider.Issuer = "https://issuer.example/#" }, []string{"Issuer", "fragment"}},
		"a WebBaseURL with a query":       {func(c cfg) { c.Provider.WebBaseURL = "https://www.example/?x=y" }, []string{"WebBaseURL", "query"}},
		"a WebBaseURL with a bare ?":      {func(c cfg) { c.Provider.WebBaseURL = "https://www.example/?" }, []string{"WebBaseURL", "query"}},
		"a base URL with a query":         {func(c cfg) { c.BaseURL += "/?x" }, []string{"BaseURL", "query"}},
		"a base URL with a bare #":        {func(c cfg) { c.BaseURL += "#" }, []string{"BaseURL", "fragment"}},
		"an endpoint with a bare #":       {func(c cfg) { c.Provider.Endpoints.Token = "https://id.example/t#" }, []string{"Endpoints.Token", "fragment"}},
		"an origin of javascript":         {func(c cfg) { c.TrustedOrigins = []string{"javascript://spa.example"} }, []string{"TrustedOrigins", "javascript://spa.example"}},
		"an origin over http":             {func(c cfg) { c.TrustedOrigins = []string{"http://spa.example"} }, []string{"TrustedOrigins", "http://spa.example"}},
		"an origin of a file":             {func(c cfg) { c.TrustedOrigins = []string{"file://"} }, []string{"TrustedOrigins"}},
		"an origin of an extension":       {func(c cfg) { c.TrustedOrigins = []string{"chrome-extension://abc"} }, []string{"TrustedOrigins"}},
		"an origin with a user":           {func(c cfg) { c.TrustedOrigins = []string{"https://me@spa.example"} }, []string{"TrustedOrigins"}},
		"an origin with a query":          {func(c cfg) { c.TrustedOrigins = []string{"https://spa.example?"} }, []string{"TrustedOrigins"}},
		"an origin with a bare #":         {func(c cfg) { c.TrustedOrigins = []string{"https://spa.example#"} }, []string{"TrustedOrigins"}},
		"an origin in capital letters":    {func(c cfg) { c.TrustedOrigins = []string{"https://SPA.example"} }, []string{"TrustedOrigins"}},
		"an origin with its default port": {func(c cfg) { c.TrustedOrigins = []string{"https://spa.example:443"} }, []string{"TrustedOrigins"}},
		"an empty origin":                 {func(c cfg) { c.TrustedOrigins = []string{""} }, []string{"TrustedOrigins"}},

		"unverified TLS, authorization elsewhere": {func(c cfg) { local(c); c.Provider.Endpoints.Authorization = "https://id.example/a" }, []string{"InsecureSkipTLSVerify", "Endpoints.Authorization"}},
		"unverified TLS, token elsewhere":         {func(c cfg) { local(c); c.Provider.Endpoints.Token = "https://id.example/t" }, []string{"InsecureSkipTLSVerify", "Endpoints.Token"}},
		"unverified TLS, keys elsewhere":          {func(c cfg) { local(c); c.Provider.Endpoints.JWKS = "https://id.example/j" }, []string{"InsecureSkipTLSVerify", "Endpoints.JWKS"}},
		"unverified TLS, userinfo elsewhere":      {func(c cfg) { local(c); c.Provider.Endpoints.UserInfo = "https://localhost.example/u" }, []string{"InsecureSkipTLSVerify", "Endpoints.UserInfo"}},
		"unverified TLS, revocation elsewhere":    {func(c cfg) { local(c); c.Provider.Endpoints.Revocation = "https://10.0.0.1/r" }, []string{"InsecureSkipTLSVerify", "Endpoints.Revocation"}},
		"unverified TLS, end session elsewhere":   {func(c cfg) { local(c); c.Provider.Endpoints.EndSession = "https://id.example/e" }, []string{"InsecureSkipTLSVerify", "Endpoints.EndSession"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig()
			row.edit(&cfg)
			client, err := idserver.New(cfg)
			if err == nil {
				client.Close()
				t.Fatal("it was accepted")
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error %q does not name %q", err, want)
				}
			}
		})
	}
	for name, edit := range map[string]func(cfg){
		"http on loopback is an origin":   func(c cfg) { c.TrustedOrigins = []string{"http://localhost:3000", "http://[::1]:3000"} },
		"unverified TLS, all on loopback": func(c cfg) { local(c); c.Provider.Endpoints.Token = "https://127.0.0.1:5002/t" },
		"an endpoint with a query":        func(c cfg) { c.Provider.Endpoints.EndSession = "https://id.example/e?x=1" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig()
			edit(&cfg)
			client, err := idserver.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			client.Close()
		})
	}
}

// BASE_URL=https://app.example// : the sign-in routes would lie at //auth/login, where browsers read the host "auth", and that is
// where guards would send them.
func TestBaseURLEndsInSlashes(t *testing.T) {
	for address, good := range map[string]bool{
		"https://app.example": true, "https://app.example/": true, "https://app.example/a/": true,
		"https://app.example//": false, "https://app.example///": false, "https://app.example/a//": false, "https://app.example//a": false,
	} {
		t.Run(address, func(t *testing.T) {
			cfg := goodConfig()
			cfg.BaseURL = address
			client, err := idserver.New(cfg)
			if err != nil {
				if good || !strings.Contains(err.Error(), "BaseURL") {
					t.Errorf("%v", err)
				}
				return
			}
			t.Cleanup(client.Close)
			_, a := client.RequireUser()(t.Context(), idserver.Request{Method: "GET", Path: "/profile", Header: http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}})
			if to := field(a, "Location"); !good || strings.HasPrefix(to, "//") || !strings.HasSuffix(strings.Split(to, "?")[0], "/auth/login") {
				t.Errorf("sent to %q", to)
			}
		})
	}
}
