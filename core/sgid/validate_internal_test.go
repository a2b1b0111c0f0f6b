package sgid

import (
	"errors"
	"fmt"
	"testing"

	"github.com/signward/idserver-go/core/internal/fault"
)

// What idserver.New reports is told under the names of this package, and only if it is not reported here already.
func TestPassedOn(t *testing.T) {
	t.Parallel()
	reported := fault.List{{Field: "ClientSecret"}}
	for name, row := range map[string]struct {
		found fault.Fault
		want  string
	}{
		"the authority":           {fault.Fault{Field: "Authority", Variable: "IDSERVER_AUTHORITY"}, "Hostname (SGID_HOSTNAME) is wrong"},
		"the leeway":              {fault.Fault{Field: "Provider.Leeway", Variable: "IDSERVER_LEEWAY"}, "Leeway is wrong"},
		"the client ID":           {fault.Fault{Field: "ClientID", Variable: "IDSERVER_CLIENT_ID"}, "ClientID (SGID_CLIENT_ID) is wrong"},
		"the scopes":              {fault.Fault{Field: "Scopes", Variable: "IDSERVER_SCOPES"}, "Scopes (SGID_SCOPES) is wrong"},
		"reported already":        {fault.Fault{Field: "ClientSecret", Variable: "IDSERVER_CLIENT_SECRET"}, ""},
		"an endpoint":             {fault.Fault{Field: "Provider.Endpoints.Token"}, ""},
		"a variable of both":      {fault.Fault{Field: "BaseURL", Variable: "BASE_URL"}, "BaseURL (BASE_URL) is wrong"},
		"a variable of core only": {fault.Fault{Field: "HTTP.Timeout", Variable: "IDSERVER_TIMEOUT"}, "HTTP.Timeout is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			row.found.Err = errors.New("is wrong")
			if got := passedOn(fmt.Errorf("configuration: %w", fault.List{&row.found}), reported).Error(); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
	if faults := passedOn(errors.New("something else"), nil); len(faults) != 1 {
		t.Errorf("an error that is no list: %v", faults)
	}
	if faults := passedOn(nil, nil); faults != nil {
		t.Errorf("no error: %v", faults)
	}
}

// The issuer is written as sgID writes it, however Hostname is.
func TestOriginOf(t *testing.T) {
	for in, want := range map[string]string{
		"https://api.id.gov.sg": "https://api.id.gov.sg", "https://API.id.gov.SG/": "https://api.id.gov.sg", "https://api.id.gov.sg:443/v2": "https://api.id.gov.sg",
		"https://api.id.gov.sg:8443": "https://api.id.gov.sg:8443", "http://localhost:80": "http://localhost", "http://localhost:443": "http://localhost:443", "http://sgid.localhost": "http://sgid.localhost",
	} {
		t.Run(in, func(t *testing.T) {
			if got, err := originOf(in); got != want || err != nil {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		})
	}
	for _, in := range []string{"", "api.id.gov.sg", "ftp://api.id.gov.sg", "https://api.id.gov.sg/v1", "https://u@api.id.gov.sg", "http://api.id.gov.sg", "https://api.id.gov.sg?x"} {
		if got, err := originOf(in); err == nil {
			t.Errorf("%q is taken for %q", in, got)
		}
	}
}
