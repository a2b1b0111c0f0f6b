// Package intern keeps one copy of texts that many verified tokens have in common, such as their scopes and their client.
package intern

import (
	"strings"
	"sync"
)

// most limits how many different lists a table keeps. Of a provider's tokens there are few; who makes up one for each
// token has it copied.
const most = 1000

// stringSize is what a string takes besides its text, in bytes.
const stringSize = 16

// Table is such a collection. The zero value is empty. It is safe for concurrent use.
type Table struct {
	mu    sync.Mutex
	lists map[string][]string
}

// List returns a list equal to texts, of memory that belongs to neither the caller nor one token, and how many bytes it
// takes of its own: 0 for one that is shared. It must not be modified. texts may not contain spaces.
func (t *Table) List(texts []string) (list []string, size int) {
	if len(texts) == 0 {
		return nil, 0
	}
	key := make([]byte, 0, 256) // on the stack, if that is enough
	for i, text := range texts {
		if i > 0 {
			key = append(key, ' ')
		}
		key = append(key, text...)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if list := t.lists[string(key)]; list != nil {
		return list, 0
	}
	return t.add(string(key), texts)
}

// Text is List for one text, which may contain anything.
func (t *Table) Text(text string) (shared string, size int) {
	if text == "" {
		return "", 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if list := t.lists[text]; list != nil {
		return list[0], 0
	}
	list, size := t.add(strings.Clone(text), []string{text})
	return list[0], size
}

// add adds a list, of which key is the text: its texts with a space between. The caller holds the lock.
func (t *Table) add(key string, texts []string) (list []string, size int) {
	list = make([]string, len(texts))
	from := 0
	for i, text := range texts {
		list[i] = key[from : from+len(text)]
		from += len(text) + 1
	}
	if len(t.lists) >= most {
		return list, len(key) + stringSize*len(list)
	}
	if t.lists == nil {
		t.lists = map[string][]string{}
	}
	t.lists[key] = list
	return list, 0
}
