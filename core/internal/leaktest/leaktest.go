// Package leaktest finds what shows of a value that is printed, logged or marshalled, for tests.
package leaktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// Mark sets everything in *v, of any type, that can hold a text, at any depth and whether exported or not, to a marker that
// names its field.
func Mark(v any) { fill(reflect.ValueOf(v).Elem(), "") }

// A marker, and how it begins where bytes are printed as numbers or as base64.
var (
	markers = regexp.MustCompile(`«([^»]*)»`)
	inBytes = regexp.MustCompile(`194 171|0xc2, 0xab|"wq[s-v]`)
)

// ShowsOnly prints and logs v, marshals it if asJSON, and fails the test if anything marked shows but the fields in shown.
func ShowsOnly(t *testing.T, v any, shown []string, asJSON bool) {
	t.Helper()
	for _, found := range shows(v, shown, asJSON) {
		t.Error(found)
	}
}

func shows(v any, shown []string, asJSON bool) (all []string) {
	texts := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		texts[verb] = fmt.Sprintf(verb, v)
		texts[verb+" in a struct"] = fmt.Sprintf(verb, struct{ V any }{v})
		texts[verb+" in a map"] = fmt.Sprintf(verb, map[string]any{"v": v})
	}
	var text, document bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&document, nil)).Info("x", "v", v)
	texts["slog's text"], texts["slog's JSON"] = text.String(), document.String()
	if asJSON {
		document, err := json.Marshal([]any{v, struct{ V any }{v}})
		if err != nil {
			all = append(all, fmt.Sprintf("it cannot be marshalled: %v", err))
		}
		texts["JSON"] = string(document)
	}
	for how, text := range texts {
		for _, found := range markers.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(shown, found[1]) {
				all = append(all, fmt.Sprintf("%s shows %s: %s", how, found[1], text))
			}
		}
		if inBytes.MatchString(text) {
			all = append(all, fmt.Sprintf("%s shows bytes: %s", how, text))
		}
	}
	return all
}

// transport is one that knows the password of a proxy.
type transport struct{ Proxy string }

func (transport) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrNotSupported }

// maxDepth ends the descent into a type that contains itself.
const maxDepth = 4

func fill(v reflect.Value, path string) {
	if strings.Count(path, ".") >= maxDepth {
		return
	}
	marker := "«" + path + "»"
	switch v.Type() {
	case reflect.TypeFor[error]():
		v.Set(reflect.ValueOf(errors.New(marker)))
	case reflect.TypeFor[io.Reader]():
		v.Set(reflect.ValueOf(strings.NewReader(marker)))
	case reflect.TypeFor[*http.Client]():
		v.Set(reflect.ValueOf(&http.Client{Transport: transport{Proxy: marker}}))
		return
	case reflect.TypeFor[*slog.Logger](), reflect.TypeFor[time.Time]():
		return
	}
	if fields := reflect.ValueOf(http.Header{"Cookie": {marker}}); v.Kind() == reflect.Interface && v.Type().Name() == "Header" {
		v.Set(fields)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(marker)
	case reflect.Struct:
		for i := range v.NumField() {
			name := strings.Trim(path+"."+v.Type().Field(i).Name, ".")
			fill(reflect.NewAt(v.Field(i).Type(), unsafe.Pointer(v.Field(i).UnsafeAddr())).Elem(), name)
		}
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), path)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(marker))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), path)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, path)
		fill(value, path)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	}
}
