package sgid_test

import (
	"encoding/json"
	"errors"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

// Every error of this package is idserver.Err.
func TestErr(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	c := byHand(t, p)
	without := byHand(t, p, func(cfg *sgid.Config) { cfg.RedirectURI = "" })
	result := func(_ any, err error) error { return err }
	for name, err := range map[string]error{
		"ErrPrivateKey": sgid.ErrPrivateKey, "ErrCodeVerifierLength": sgid.ErrCodeVerifierLength, "ErrPKCEPairLength": sgid.ErrPKCEPairLength,
		"ErrNonceLength": sgid.ErrNonceLength, "ErrCodeChallenge": sgid.ErrCodeChallenge, "ErrMissingRedirectURI": sgid.ErrMissingRedirectURI,
		"ErrMissingCode": sgid.ErrMissingCode, "ErrMissingNonce": sgid.ErrMissingNonce, "ErrMissingAccessToken": sgid.ErrMissingAccessToken,
		"ErrSubMismatch": sgid.ErrSubMismatch, "ErrEnvelope": sgid.ErrEnvelope, "ErrDecrypt": sgid.ErrDecrypt,
		"ErrDecryptBlockKey": sgid.ErrDecryptBlockKey, "ErrDecryptData": sgid.ErrDecryptData, "ErrInvalidData": sgid.ErrInvalidData,
		"DecryptError": &sgid.DecryptError{},

		"New":                              result(sgid.New(sgid.Config{})),
		"AuthorizeURL":                     result(c.AuthorizeURL(sgid.AuthorizeOptions{})),
		"AuthorizeURL, no redirect_uri":    result(without.AuthorizeURL(sgid.AuthorizeOptions{})),
		"Callback":                         result(c.Callback(t.Context(), sgid.CallbackParams{})),
		"Callback, no nonce":               result(c.Callback(t.Context(), sgid.CallbackParams{Code: "x"})),
		"Callback, no verifier":            result(c.Callback(t.Context(), sgid.CallbackParams{Code: "x", Nonce: "x"})),
		"UserInfo":                         result(c.UserInfo(t.Context(), "", "")),
		"UserInfo, another's access token": result(c.UserInfo(t.Context(), "x", "x")),
		"UserInfoFrom":                     result(c.UserInfoFrom(t.Context())),
		"GeneratePKCEPair":                 result(sgid.GeneratePKCEPair(1)),
		"GenerateCodeVerifier":             result(sgid.GenerateCodeVerifier(1)),
		"GenerateCodeChallenge":            result(sgid.GenerateCodeChallenge("")),
		"GenerateNonce":                    result(sgid.GenerateNonce(1)),
		"ParseDate":                        result(sgid.ParseDate("x")),
		"ParseData":                        result(sgid.ParseData(sgid.Data{"x": "\xff"})),
		"Data, from JSON":                  json.Unmarshal([]byte(`{"x":null}`), new(sgid.Data)),
		"Vehicles":                         result(sgid.Data{sgid.ScopeVehicles: "["}.Vehicles()),
	} {
		t.Run(name, func(t *testing.T) {
			if !errors.Is(err, idserver.Err) {
				t.Errorf("%v", err)
			}
		})
	}
}
