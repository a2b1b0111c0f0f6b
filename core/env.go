package idserver

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// ConfigFromEnv reads a Config from the environment: IDSERVER_AUTHORITY, IDSERVER_CLIENT_ID,
// IDSERVER_CLIENT_SECRET, IDSERVER_AUDIENCE, IDSERVER_ISSUER, IDSERVER_SCOPES (separated by
// spaces), BASE_URL, SESSION_SECRET and SESSION_SECRET_OLD (separated by commas). What is not set stays
// empty, and New judges it, but for IDSERVER_AUTHORITY, IDSERVER_CLIENT_ID and, with BASE_URL,
// SESSION_SECRET, whose absence is an error that names them all.
func ConfigFromEnv() (Config, error) {
	cfg := Config{
		Authority:     os.Getenv("IDSERVER_AUTHORITY"),
		Issuer:        os.Getenv("IDSERVER_ISSUER"),
		ClientID:      os.Getenv("IDSERVER_CLIENT_ID"),
		ClientSecret:  os.Getenv("IDSERVER_CLIENT_SECRET"),
		Audience:      os.Getenv("IDSERVER_AUDIENCE"),
		Scopes:        strings.Fields(os.Getenv("IDSERVER_SCOPES")),
		BaseURL:       os.Getenv("BASE_URL"),
		SessionSecret: os.Getenv("SESSION_SECRET"),
	}
	for old := range strings.SplitSeq(os.Getenv("SESSION_SECRET_OLD"), ",") {
		if old = strings.TrimSpace(old); old != "" {
			cfg.OldSessionSecrets = append(cfg.OldSessionSecrets, old)
		}
	}
	var missing []error
	for _, v := range []struct {
		name, value, wants string
		required           bool
	}{
		{"IDSERVER_AUTHORITY", cfg.Authority, "the provider's URL, such as https://mytenant.signward.com", true},
		{"IDSERVER_CLIENT_ID", cfg.ClientID, "the client_id that the provider gave to the application", true},
		{"SESSION_SECRET", cfg.SessionSecret, "at least 32 random bytes, such as the output of: openssl rand -base64 32", cfg.BaseURL != ""},
	} {
		if v.required && v.value == "" {
			missing = append(missing, fmt.Errorf("%s is not set: want %s", v.name, v.wants))
		}
	}
	return cfg, errors.Join(missing...)
}
