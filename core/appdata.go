package idserver

import (
	"context"
	"fmt"
	"net/url"
	"unicode/utf8"
)

// maxAppData limits app_data, in bytes: it is kept in a cookie.
const maxAppData = 512

// appDataOf reads the parameter app_data of /login. If it is too long it is refused, not cut: half of it might mean
// something else.
func appDataOf(query url.Values) ([]byte, error) {
	values := query["app_data"]
	switch {
	case len(values) == 0:
		return nil, nil
	case len(values) > 1:
		return nil, fmt.Errorf("app_data stands more than once")
	case len(values[0]) > maxAppData:
		return nil, fmt.Errorf("app_data has %d bytes, want at most %d", len(values[0]), maxAppData)
	case !utf8.ValidString(values[0]):
		return nil, fmt.Errorf("app_data is not UTF-8")
	}
	return []byte(values[0]), nil
}

type appDataKey struct{}

func withAppData(ctx context.Context, data []byte) context.Context {
	return contextWithText(ctx, appDataKey{}, string(data), "WithAppData")
}

// AppDataFrom returns, in the context of Config.AdmitUser, the parameter app_data (at most 512 bytes) of the link to
// /auth/login: a choice made before signing in. It was kept sealed in the browser, and the provider did not see it.
// Anyone can make such a link, including other sites, so treat it like any other input. It is empty at a refresh; to keep
// something for the session, use [User.Set].
func AppDataFrom(ctx context.Context) string {
	data, _ := ctx.Value(appDataKey{}).(string)
	return data
}
