package idserver

import "context"

// textContext is a context with one text of the sign-in. It is printed without that, as a context of context.WithValue would
// not be.
type textContext struct {
	context.Context
	key  any
	text string
	name string // of the function that made it, as contexts are printed
}

func (c *textContext) Value(key any) any {
	if key == c.key {
		return c.text
	}
	return c.Context.Value(key)
}

func (c *textContext) String() string { return contextName(c.Context) + "." + c.name }

// contextWithText returns ctx with a text, if there is one.
func contextWithText(ctx context.Context, key any, text, name string) context.Context {
	if text == "" {
		return ctx
	}
	return &textContext{Context: ctx, key: key, text: text, name: name}
}
