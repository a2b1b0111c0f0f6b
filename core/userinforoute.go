package idserver

import (
	"context"
	"errors"
	"net/http"
)

// userInfoRoute answers /userinfo: it tells a front end who is signed in. The answer never contains a token and is never
// a redirect.
func (c *Client) userInfoRoute(ctx context.Context, r *Request) (Answer, error) {
	v, err := c.identify(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	var shown any = v.user
	if c.cfg.UserInfoResponse != nil {
		if shown, err = c.cfg.UserInfoResponse(c.behind(ctx, r, &v), v.user); err != nil {
			return Answer{}, refused(codeOfUserInfo(err), err, v.fields...)
		}
	}
	a, err := jsonAnswer(shown, v.fields...)
	if err != nil {
		return Answer{}, refused(CodeInternal, err, v.fields...)
	}
	return a, nil
}

// codeOfUserInfo is codeOf for Config.UserInfoResponse. An access token that has expired before its session is not a
// fault of the provider: signing in brings a new one.
func codeOfUserInfo(err error) RefusalCode {
	var info *UserInfoError
	if errors.As(err, &info) && info.Status == http.StatusUnauthorized {
		return CodeInvalidToken
	}
	return codeOf(err)
}
