package strictjson

import "github.com/go-json-experiment/json/jsontext"

// AppendString appends s as a JSON string. It is an error if s is not UTF-8.
func AppendString(out []byte, s string) ([]byte, error) { return jsontext.AppendQuote(out, s) }
