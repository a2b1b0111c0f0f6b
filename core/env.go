package idserver

import (
	"os"
	"strings"
)

// ConfigFromEnv returns a Config with the fields that are set in the environment: IDSERVER_AUTHORITY, IDSERVER_CLIENT_ID,
// IDSERVER_CLIENT_SECRET, IDSERVER_AUDIENCE, IDSERVER_ISSUER, IDSERVER_SCOPES (separated by spaces), APPLICATION_NAME,
// BASE_URL, SESSION_SECRET and SESSION_SECRET_OLD (separated by commas). It does not validate them: [New] does, and its errors name
// these variables next to the fields.
func ConfigFromEnv() Config {
	cfg := Config{
		ApplicationName: os.Getenv("APPLICATION_NAME"),
		Authority:       os.Getenv("IDSERVER_AUTHORITY"),
		ClientID:        os.Getenv("IDSERVER_CLIENT_ID"),
		ClientSecret:    os.Getenv("IDSERVER_CLIENT_SECRET"),
		Audience:        os.Getenv("IDSERVER_AUDIENCE"),
		Scopes:          strings.Fields(os.Getenv("IDSERVER_SCOPES")),
		BaseURL:         os.Getenv("BASE_URL"),
		SessionSecret:   os.Getenv("SESSION_SECRET"),
	}
	cfg.Provider.Issuer = os.Getenv("IDSERVER_ISSUER")
	for old := range strings.SplitSeq(os.Getenv("SESSION_SECRET_OLD"), ",") {
		if old = strings.TrimSpace(old); old != "" {
			cfg.Session.OldSecrets = append(cfg.Session.OldSecrets, old)
		}
	}
	return cfg
}
