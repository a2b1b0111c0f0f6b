package idserver

import (
	"errors"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/signward/idserver-go/core/internal/fault"
)

// ConfigFromEnv returns a Config with the fields that are set in the environment:
//
//   - IDSERVER_AUTHORITY, IDSERVER_ISSUER, IDSERVER_CLIENT_ID, IDSERVER_CLIENT_SECRET, IDSERVER_CLIENT_AUTH and
//     IDSERVER_AUDIENCE;
//   - IDSERVER_CLIENT_KEYS, as [ParseClientKeys] reads it, and IDSERVER_CLIENT_ASSERTION_FILE, a path;
//   - IDSERVER_CLIENT_CERTIFICATE_FILE and IDSERVER_CLIENT_CERTIFICATE_KEY_FILE, paths of PEM files, which are read for each handshake; the
//     second may be left out if the first has the key too;
//   - IDSERVER_SCOPES, IDSERVER_ALGORITHMS, IDSERVER_TENANTS and IDSERVER_INSECURE_PLAIN_HTTP, separated by spaces or commas;
//   - IDSERVER_ROLES_CLAIM, separated by commas, each a name or a path such as realm_access/roles;
//   - IDSERVER_AUTHORIZE_PARAMETERS, written like the query of a URL: audience=https://api.example&access_type=offline;
//   - IDSERVER_TIMEOUT and IDSERVER_LEEWAY, durations such as 10s;
//   - IDSERVER_PUSHED_AUTHORIZATION and IDSERVER_DPOP, true or false;
//   - IDSERVER_TOKEN_REQUESTS_PER_MINUTE, a number;
//   - IDSERVER_LOG_SUBJECT, IDSERVER_RESPONSE_MODE and IDSERVER_PROFILE;
//   - APPLICATION_NAME, BASE_URL, SESSION_SECRET and SESSION_SECRET_OLD, the last separated by commas;
//   - TRUSTED_ORIGINS, separated by spaces or commas.
//
// An empty variable is as good as none. It does not validate them: [New] does, and its errors name these variables next to
// the fields. A duration, a list of parameters, a key or a truth that cannot be read is an error of New too.
func ConfigFromEnv() Config {
	var faults fault.List
	cfg := Config{
		Authority:    os.Getenv("IDSERVER_AUTHORITY"),
		ClientID:     os.Getenv("IDSERVER_CLIENT_ID"),
		ClientSecret: os.Getenv("IDSERVER_CLIENT_SECRET"),
		ClientKeys:   keysFromEnv(&faults, "ClientKeys", "IDSERVER_CLIENT_KEYS"),
		Profile:      os.Getenv("IDSERVER_PROFILE"),

		ClientAssertionFile: os.Getenv("IDSERVER_CLIENT_ASSERTION_FILE"),
		ClientCertificate:   certificateFromEnv(&faults, "ClientCertificate", "IDSERVER_CLIENT_CERTIFICATE_FILE", "IDSERVER_CLIENT_CERTIFICATE_KEY_FILE"),

		DPoP:            flagFromEnv(&faults, "DPoP", "IDSERVER_DPOP"),
		ApplicationName: os.Getenv("APPLICATION_NAME"),
		BaseURL:         os.Getenv("BASE_URL"),
		SessionSecret:   os.Getenv("SESSION_SECRET"),
		TrustedOrigins:  wordsFromEnv("TRUSTED_ORIGINS"),
		Scopes:          wordsFromEnv("IDSERVER_SCOPES"),
		Audience:        os.Getenv("IDSERVER_AUDIENCE"),

		AuthorizeParameters: parametersFromEnv(&faults, "AuthorizeParameters", "IDSERVER_AUTHORIZE_PARAMETERS"),
		RolesClaim:          listFromEnv("IDSERVER_ROLES_CLAIM"),
		Session:             SessionConfig{OldSecrets: listFromEnv("SESSION_SECRET_OLD")},
		Provider: ProviderConfig{
			Issuer:              os.Getenv("IDSERVER_ISSUER"),
			ClientAuth:          os.Getenv("IDSERVER_CLIENT_AUTH"),
			Algorithms:          wordsFromEnv("IDSERVER_ALGORITHMS"),
			Tenants:             wordsFromEnv("IDSERVER_TENANTS"),
			PushedAuthorization: flagFromEnv(&faults, "Provider.PushedAuthorization", "IDSERVER_PUSHED_AUTHORIZATION"),
			Leeway:              durationFromEnv(&faults, "Provider.Leeway", "IDSERVER_LEEWAY"),

			TokenRequestsPerMinute: numberFromEnv(&faults, "Provider.TokenRequestsPerMinute", "IDSERVER_TOKEN_REQUESTS_PER_MINUTE"),
		},
		HTTP:              HTTPConfig{Timeout: durationFromEnv(&faults, "HTTP.Timeout", "IDSERVER_TIMEOUT")},
		ResponseMode:      os.Getenv("IDSERVER_RESPONSE_MODE"),
		InsecurePlainHTTP: wordsFromEnv("IDSERVER_INSECURE_PLAIN_HTTP"),
		LogSubject:        os.Getenv("IDSERVER_LOG_SUBJECT"),
	}
	cfg.fromEnv = faults
	return cfg
}

// listFromEnv reads values that are separated by commas; nil if there are none.
func listFromEnv(variable string) (all []string) {
	for value := range strings.SplitSeq(os.Getenv(variable), ",") {
		if value = strings.TrimSpace(value); value != "" {
			all = append(all, value)
		}
	}
	return all
}

// wordsFromEnv reads values without spaces, which are separated by spaces or commas; nil if there are none.
func wordsFromEnv(variable string) []string {
	all := strings.FieldsFunc(os.Getenv(variable), func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if len(all) == 0 {
		return nil
	}
	return all
}

// durationFromEnv reads a duration. 0 is refused because it would mean the default, which nobody means who writes 0.
func durationFromEnv(faults *fault.List, field, variable string) time.Duration {
	text := strings.TrimSpace(os.Getenv(variable))
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		faults.Add(field, variable, "%q: want a duration of more than 0, such as 10s", text)
		return 0
	}
	return d
}

// flagFromEnv reads true or false.
func flagFromEnv(faults *fault.List, field, variable string) bool {
	switch text := strings.TrimSpace(os.Getenv(variable)); text {
	case "", "false":
		return false
	case "true":
		return true
	default:
		faults.Add(field, variable, "%q: want true or false", text)
		return false
	}
}

// numberFromEnv reads a number. 0 is refused because it would mean the default, which nobody means who writes 0.
func numberFromEnv(faults *fault.List, field, variable string) int {
	text := strings.TrimSpace(os.Getenv(variable))
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n == 0 {
		faults.Add(field, variable, "%q: want a number, such as 60", text)
		return 0
	}
	return n
}

// keysFromEnv reads private keys; nil if there are none.
func keysFromEnv(faults *fault.List, field, variable string) []ClientKey {
	text := os.Getenv(variable)
	if strings.TrimSpace(text) == "" {
		return nil
	}
	keys, err := ParseClientKeys(text)
	if err != nil {
		faults.Add(field, variable, "cannot be read: %w", errors.Unwrap(err))
		return nil
	}
	return keys
}

// parametersFromEnv reads parameters that are written like the query of a URL; nil if there are none.
func parametersFromEnv(faults *fault.List, field, variable string) url.Values {
	text := strings.TrimSpace(os.Getenv(variable))
	if text == "" {
		return nil
	}
	for pair := range strings.SplitSeq(text, "&") {
		if name, _, ok := strings.Cut(pair, "="); !ok || name == "" || strings.ContainsFunc(pair, unicode.IsSpace) {
			faults.Add(field, variable, "has %q: want parameters like the query of a URL, such as audience=https://api.example&access_type=offline", pair)
			return nil
		}
	}
	parameters, err := url.ParseQuery(text)
	if err != nil {
		faults.Add(field, variable, "cannot be read as the query of a URL: %w", err)
		return nil
	}
	return parameters
}
