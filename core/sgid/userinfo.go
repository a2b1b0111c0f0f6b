package sgid

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"unicode/utf8"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/jose"
)

// UserInfo is who signed in, and what they agreed to share.
type UserInfo struct {
	Sub  string `json:"sub"`
	Data Data   `json:"data"` // empty if openid was the only scope
}

// String tells whose data these are and how many, without the data itself: personal data does not belong in a log.
func (i UserInfo) String() string {
	return fmt.Sprintf("sgid.UserInfo{Sub: %q, Data: %d values}", i.Sub, len(i.Data))
}

// UserInfo fetches and decrypts what the person agreed to share. subject is that of the ID token, and the response's sub
// must equal it. Every call asks sgID, and returns either every field or an error: [ErrMissingAccessToken], [ErrSubMismatch],
// [ErrEnvelope], a [DecryptError] that names the field, or an [idserver.UserInfoError] for what the endpoint answered,
// with status 401 if the access token has expired.
func (c *Client) UserInfo(ctx context.Context, accessToken, subject string) (*UserInfo, error) {
	if accessToken == "" {
		return nil, baseerror.Errorf("sgid: %w", ErrMissingAccessToken)
	}
	user, err := c.engine.UserInfo(ctx, accessToken, subject)
	var answered *idserver.UserInfoError
	switch {
	case errors.As(err, &answered) && answered.Status == http.StatusOK && !errors.Is(err, idserver.ErrUnavailable): // the response was readable, and its sub is missing or different
		return nil, baseerror.Errorf("sgid: %w: %w", ErrSubMismatch, err)
	case err != nil:
		return nil, err
	}
	var envelope struct {
		Key  *string           `json:"key"`
		Data map[string]string `json:"data"`
	}
	if err := user.Claims(&envelope); err != nil {
		return nil, baseerror.Errorf("sgid: %w: %w: %w", idserver.ErrUserInfo, ErrEnvelope, err)
	}
	info := &UserInfo{Sub: user.Subject, Data: Data{}}
	switch {
	case envelope.Key == nil && envelope.Data == nil:
		return info, nil
	case envelope.Key == nil:
		return nil, baseerror.Errorf("sgid: %w: %w: data without key", idserver.ErrUserInfo, ErrEnvelope)
	case envelope.Data == nil:
		return nil, baseerror.Errorf("sgid: %w: %w: key without data", idserver.ErrUserInfo, ErrEnvelope)
	}
	blockKey, err := c.blockKey(*envelope.Key)
	if err != nil {
		return nil, err
	}
	for _, scope := range slices.Sorted(maps.Keys(envelope.Data)) {
		value, err := jose.DecryptSymmetric(envelope.Data[scope], blockKey)
		if err != nil || !utf8.Valid(value) {
			return nil, &DecryptError{Field: scope}
		}
		info.Data[scope] = string(value)
	}
	return info, nil
}

// blockKey decrypts the key that the data are encrypted with. It is a JSON Web Key of type oct. The algorithm that it
// names is ignored: in sgID's own test data, it does not fit.
func (c *Client) blockKey(sealed string) ([]byte, error) {
	document, err := jose.DecryptRSA(sealed, c.key)
	if err != nil {
		return nil, &DecryptError{}
	}
	key, err := jose.ParseSymmetricKey(document)
	if err != nil {
		return nil, &DecryptError{}
	}
	return key, nil
}

// UserInfoFrom is like [Client.UserInfo], for the user and the access token that a guard put into ctx, or, in
// Config.AdmitUser, for the user who is signing in.
func (c *Client) UserInfoFrom(ctx context.Context) (*UserInfo, error) {
	user := idserver.UserFrom(ctx)
	if user == nil {
		return nil, errNobody
	}
	return c.UserInfo(ctx, idserver.AccessTokenFrom(ctx), user.Subject)
}

// userInfoResponse returns what GET /auth/userinfo answers by default: the user, as elsewhere, with sub and data added.
func (c *Client) userInfoResponse(ctx context.Context, user *idserver.User) (any, error) {
	info, err := c.UserInfoFrom(ctx)
	if err != nil {
		return nil, err
	}
	text, err := user.MarshalJSON()
	if err != nil {
		return nil, err
	}
	answer := map[string]any{}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	answer["sub"], answer["data"] = info.Sub, info.Data
	return answer, nil
}
