package main

import (
	"fmt"
	"strings"
)

// parse reads the list: blocks of lines, separated by empty lines. A block is
//
//	name: what is broken
//	file: core/idtoken.go
//	test: ./core ./core/sgid       (default: the folder of the file)
//	from: the piece of the file, which stands there once (\\ is a backslash)
//	to: what takes its place       (may be empty)
//	reason: why no test can notice (optional)
//
// In from and to, \n is a line break and \t a tab. Lines that begin with # are comments.
func parse(list string) (mutations []mutation, err error) {
	seen := map[string]bool{}
	for block := range strings.SplitSeq(list, "\n\n") {
		m, err := parseBlock(block)
		switch {
		case err != nil:
			return nil, err
		case m.name == "":
			continue // comments alone
		case m.file == "" || m.from == "":
			return nil, fmt.Errorf("%s: want a file and what stands there", m.name)
		case seen[m.name]:
			return nil, fmt.Errorf("%s stands twice in the list", m.name)
		}
		seen[m.name] = true
		if m.packages == nil {
			m.packages = []string{"./" + m.file[:strings.LastIndex(m.file, "/")]}
		}
		mutations = append(mutations, m)
	}
	return mutations, nil
}

var written = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t")

func parseBlock(block string) (m mutation, err error) {
	for line := range strings.Lines(block) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return m, fmt.Errorf("the line %q is not of the form name: value", line)
		}
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "name":
			m.name = value
		case "file":
			m.file = value
		case "test":
			m.packages = strings.Fields(value)
		case "from":
			m.from = written.Replace(value)
		case "to":
			m.to = written.Replace(value)
		case "reason":
			m.reason = value
		default:
			return m, fmt.Errorf("the line %q is of no known kind", line)
		}
	}
	return m, nil
}
