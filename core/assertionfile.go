package idserver

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/fault"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// maxAssertionFile limits a file with a client assertion, in bytes.
const maxAssertionFile = 16 << 10

// What may be wrong with a file today and not tomorrow, because somebody else writes it.
var (
	errEmptyAssertion   = errors.New("it is empty")
	errExpiredAssertion = errors.New("it has expired")
)

// mayPass reports whether what is wrong with the file goes away when it is written the next time.
func mayPass(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errEmptyAssertion) || errors.Is(err, errExpiredAssertion)
}

// assertionFile is a file with a client assertion that another program writes, and writes anew before it expires.
type assertionFile struct {
	name   string
	now    func() time.Time
	leeway time.Duration
}

// read returns the assertion that is in the file now. It is read for each request: a file takes microseconds and a request to the
// provider milliseconds, and what tells that a file has changed (its time, its inode) can be wrong.
func (f assertionFile) read() (string, error) {
	content, err := readBounded(f.name, maxAssertionFile)
	text := strings.TrimSpace(string(content))
	if err == nil {
		err = f.check(text)
	}
	if err != nil {
		return "", fmt.Errorf("the client assertion in %q: %w", f.name, err)
	}
	return text, nil
}

// readBounded reads a regular file: opening a pipe would wait for whoever writes it. Its errors do not repeat the name.
func readBounded(name string, most int) ([]byte, error) {
	about, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case about.IsDir():
		return nil, errors.New("it is a directory: want the file in it")
	case !about.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, int64(most)+1))
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case len(content) > most:
		return nil, fmt.Errorf("it is longer than %d bytes", most)
	}
	return content, nil
}

func withoutPath(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// check looks at an assertion as far as the provider's answer to it could not tell what is wrong. Everything else, its issuer, its
// audience and its signature, is the provider's business. One without exp never expires (a Kubernetes Secret).
func (f assertionFile) check(text string) error {
	if text == "" {
		return errEmptyAssertion
	}
	message, err := jose.Parse(text)
	if err != nil {
		return errors.New("it is no JWT") // and what it is may be a secret
	}
	object, err := strictjson.ParseObject(message.Payload)
	if err != nil {
		return errors.New("it is no JWT: its claims are no JSON object")
	}
	exp := claims.Time(object.Get("exp"))
	if now := f.now(); !exp.IsZero() && !now.Before(exp.Add(f.leeway)) {
		return fmt.Errorf("%w: exp is %v, and now it is %v", errExpiredAssertion, exp.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// assertionFile is Config.ClientAssertionFile.
func (c *Config) assertionFile() assertionFile {
	return assertionFile{c.ClientAssertionFile, c.Now, cmp.Or(c.Provider.Leeway, defaultLeeway)}
}

// checkAssertionFile checks Config.ClientAssertionFile. What may pass is no fault: who writes the file may start later.
func (c *Config) checkAssertionFile(faults *fault.List) {
	const field, variable = "ClientAssertionFile", "IDSERVER_CLIENT_ASSERTION_FILE"
	if c.ClientAssertionFile == "" {
		return
	}
	if _, err := c.assertionFile().read(); err != nil && !mayPass(err) {
		faults.Add(field, variable, "cannot be used: %w", err)
	}
	if keys, _ := readClientKeys(c.ClientKeys); keys.signer != nil {
		faults.Add(field, variable, "is set, and ClientKeys (IDSERVER_CLIENT_KEYS) have a key that signs: leave one of both out")
	}
}

// warnOfAssertionFile says at the start what a sign-in would meet now.
func (c *Config) warnOfAssertionFile() {
	if c.ClientAssertionFile == "" {
		return
	}
	if _, err := c.assertionFile().read(); err != nil {
		c.Logger.Warn("idserver: the client cannot authenticate until the file is written (ClientAssertionFile)", "error", err)
	}
}
