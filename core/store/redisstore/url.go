package redisstore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// FromEnv returns the store of the environment variable REDIS_URL, as [Open] reads it. Without one it is an error.
func FromEnv() (*Store, error) {
	text := os.Getenv("REDIS_URL")
	if text == "" {
		return nil, errors.New("redisstore: REDIS_URL is not set: want a URL such as redis://localhost:6379")
	}
	return open("REDIS_URL", text)
}

// Open returns the store of a URL. It connects to nothing yet. The URL is one of these, with what is in brackets left out or not:
//
//	redis://[[user]:password@]host[:6379][/database]
//	redis-sentinel://[[user]:password@]sentinel[:26379][,sentinel...][/database]?master_name=mymaster
//	redis-cluster://[[user]:password@]node[:6379][,node...]
//	unix://[[user]:password@]/path/of/the.sock[?db=database]
//
// In place of redis, rediss speaks TLS 1.2 or later: rediss, rediss-sentinel, rediss-cluster. The server's certificate is proved by the
// roots of the system, or those in the PEM file that ca names in the query, for the host that is connected to. User and
// password are percent-encoded where they have other characters than letters, digits and -._~!$&'()*+,;=; the password alone is that of
// the user "default". Sentinel's own are sentinel_username and sentinel_password, in the query. Also in each query: prefix, which is
// Store.Prefix. Anything else in it is an error.
//
// Connections are made as they are needed, at most ten for each CPU; connecting, sending and answers may take a second each. A program
// that wants it otherwise makes a client and calls [New].
func Open(url string) (*Store, error) { return open("the URL", url) }

// open is Open for a URL that errors name as they are told: it may have a password in it, and is never in an error itself.
func open(what, text string) (*Store, error) {
	a, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("redisstore: %s %w", what, err)
	}
	if err := a.readCA(); err != nil {
		return nil, fmt.Errorf("redisstore: %s %w", what, err)
	}
	s := newStore(a.client())
	s.owned, s.Prefix = true, a.prefix
	for _, secret := range []string{a.password, a.sentinelPassword} {
		if secret != "" {
			s.secrets = append(s.secrets, secret)
		}
	}
	return s, nil
}

// address is what a URL says.
type address struct {
	mode               mode
	tls                bool
	ca                 string         // the path of a file of certificates
	roots              *x509.CertPool // nil: those of the system
	addrs              []string       // host:port; a path for a socket
	username, password string
	database           int
	prefix             string

	masterName, sentinelUsername, sentinelPassword string
}

type mode int

const (
	single mode = iota
	socket
	sentinel
	cluster
)

// schemes are the URLs that there are.
var schemes = map[string]struct {
	mode mode
	tls  bool
	port string
}{
	"redis":           {single, false, "6379"},
	"rediss":          {single, true, "6379"},
	"redis-sentinel":  {sentinel, false, "26379"},
	"rediss-sentinel": {sentinel, true, "26379"},
	"redis-cluster":   {cluster, false, "6379"},
	"rediss-cluster":  {cluster, true, "6379"},
	"unix":            {socket, false, ""},
}

const (
	maxURL   = 4096 // bytes
	maxHosts = 100
)

// parse reads a URL. Its errors go on from "the URL", and have no value of it in them. net/url does not read it, because that refuses
// several hosts, and puts the whole URL in its errors.
func parse(text string) (*address, error) {
	if len(text) > maxURL {
		return nil, fmt.Errorf("has more than %d bytes", maxURL)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, errors.New("has a space, a control character or a character outside ASCII: percent-encode it")
	}
	scheme, rest, ok := strings.Cut(text, "://")
	kind, known := schemes[strings.ToLower(scheme)]
	if !ok || !known {
		return nil, errors.New("does not begin with redis://, rediss://, redis-sentinel://, rediss-sentinel://, redis-cluster://, rediss-cluster:// or unix://")
	}
	if strings.Contains(rest, "#") {
		return nil, errors.New("has a #: percent-encode it (%23) in a password; a fragment has no meaning")
	}
	rest, query, _ := strings.Cut(rest, "?")
	if strings.Contains(query, "@") {
		return nil, errors.New("has an @ behind a ?: percent-encode the ? (%3F) in a password, and the @ (%40) in the query")
	}
	a := &address{mode: kind.mode, tls: kind.tls}
	authority, path := rest, ""
	if i := strings.Index(rest, "/"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if strings.Contains(path, "@") {
		return nil, errors.New("has a / before an @: percent-encode it (%2F) in a password")
	}
	hosts, err := a.user(authority)
	if err != nil {
		return nil, err
	}
	if kind.mode == socket {
		err = a.socket(hosts, path)
	} else {
		err = errors.Join(a.hosts(hosts, kind.port), a.path(path))
	}
	if err != nil {
		return nil, err
	}
	return a, a.query(query)
}

// user takes what is before the last @, and returns what is behind it.
func (a *address) user(authority string) (hosts string, err error) {
	i := strings.LastIndex(authority, "@")
	if i < 0 {
		return authority, nil
	}
	name, password, _ := strings.Cut(authority[:i], ":")
	if strings.ContainsAny(name+password, ":@[]") {
		return "", errors.New("has an @ or a : too many before its host: percent-encode them (%40, %3A) in a password")
	}
	name, err = url.PathUnescape(name)
	if err == nil {
		password, err = url.PathUnescape(password)
	}
	switch {
	case err != nil:
		return "", errors.New("has a % in its user or password that is not followed by two hexadecimal digits: write %25")
	case password == "":
		return "", errors.New("has an @, and no password before it: want user:password@, or :password@ for the user \"default\"")
	}
	a.username, a.password = name, password
	return authority[i+1:], nil
}

func (a *address) hosts(list, port string) error {
	all := strings.Split(list, ",")
	if len(all) > 1 && a.mode == single {
		return errors.New("has several hosts: want redis-sentinel:// or redis-cluster:// before them")
	}
	if len(all) > maxHosts {
		return fmt.Errorf("has more than %d hosts", maxHosts)
	}
	for _, one := range all {
		addr, err := hostPort(one, port)
		if err != nil {
			return err
		}
		a.addrs = append(a.addrs, addr)
	}
	return nil
}

// hostPort reads host, host:port, [IPv6] or [IPv6]:port.
func hostPort(text, port string) (string, error) {
	host, number, hasPort := strings.Cut(text, ":")
	if strings.HasPrefix(text, "[") {
		inside, behind, closed := strings.Cut(text[1:], "]")
		ip := net.ParseIP(inside)
		if host, number, hasPort = strings.Cut(behind, ":"); !closed || ip == nil || ip.To4() != nil || host != "" {
			return "", errors.New("has a host in brackets that is no IPv6 address: want [2001:db8::1]:6379")
		}
		host = inside
	} else if host == "" || strings.ContainsAny(host, `[]%\"<>^|{}`+"`") {
		return "", errors.New("has no host, an empty one in its list, or one with a character that no host has")
	}
	if hasPort {
		if n, err := strconv.ParseUint(number, 10, 16); err != nil || n == 0 {
			return "", errors.New("has a port that is no number of 1 to 65535 (an IPv6 address is written in brackets)")
		}
		port = number
	}
	return net.JoinHostPort(host, port), nil
}

// path reads the database.
func (a *address) path(path string) error {
	number := strings.TrimPrefix(path, "/")
	if number == "" {
		return nil
	}
	if a.mode == cluster {
		return errors.New("has a database, and a cluster has only one: leave it out")
	}
	return a.setDatabase(number)
}

func (a *address) setDatabase(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return errors.New("has a database that is no number: want /0 or none")
	}
	a.database = int(n)
	return nil
}

func (a *address) socket(host, path string) error {
	if host != "" {
		return errors.New("has a host: want the path of a socket, unix:///run/redis/redis.sock")
	}
	path, err := url.PathUnescape(path)
	if err != nil {
		return errors.New("has a % in its path that is not followed by two hexadecimal digits: write %25")
	}
	if path == "" || path == "/" || strings.ContainsRune(path, 0) {
		return errors.New("has no path of a socket: want unix:///run/redis/redis.sock")
	}
	a.addrs = []string{path}
	return nil
}

func (a *address) query(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("has a query that cannot be read")
	}
	for name, all := range values {
		if len(all) > 1 {
			return fmt.Errorf("has the parameter %.40q twice", name)
		}
		value := all[0]
		switch {
		case name == "prefix":
			a.prefix = value
			err = checkPrefix(value)
		case name == "ca" && a.tls:
			a.ca = value
		case name == "db" && a.mode == socket:
			err = a.setDatabase(value)
		case name == "master_name" && a.mode == sentinel:
			a.masterName = value
		case name == "sentinel_username" && a.mode == sentinel:
			a.sentinelUsername = value
		case name == "sentinel_password" && a.mode == sentinel:
			a.sentinelPassword = value
		default:
			err = fmt.Errorf("has the parameter %.40q, which means nothing in it", name)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case a.mode == sentinel && a.masterName == "":
		return errors.New("does not say which master Sentinel watches: want ?master_name=mymaster")
	case a.sentinelUsername != "" && a.sentinelPassword == "":
		return errors.New("has a sentinel_username without sentinel_password")
	}
	return nil
}

func checkPrefix(prefix string) error {
	if len(prefix) > 100 || strings.ContainsFunc(prefix, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return errors.New("has a prefix that is longer than 100 bytes or not of printable ASCII")
	}
	if strings.ContainsAny(prefix, "{}") { // of a hash tag: a cluster would put all at one node, or half a tag would span the key
		return errors.New("has a prefix with { or }, which a cluster takes for a hash tag")
	}
	return nil
}

// readCA reads the certificates that the server's is proved by, where the URL names a file of them.
func (a *address) readCA() error {
	if a.ca == "" {
		return nil
	}
	content, err := os.ReadFile(a.ca)
	if err != nil {
		return fmt.Errorf("has a ca that cannot be read: %w", err)
	}
	a.roots = x509.NewCertPool()
	if !a.roots.AppendCertsFromPEM(content) {
		return errors.New("has a ca without a certificate in PEM")
	}
	return nil
}

// patience is how long connecting, sending, and each answer may take, where the caller's context ends no sooner.
const patience = time.Second

func (a *address) client() redis.UniversalClient {
	o := redis.UniversalOptions{
		Addrs: a.addrs, Username: a.username, Password: a.password, DB: a.database,
		MasterName: a.masterName, SentinelUsername: a.sentinelUsername, SentinelPassword: a.sentinelPassword,
		ContextTimeoutEnabled: true, DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, PoolTimeout: patience,
		DisableIdentity:          true, // a round trip less
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if a.tls {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: a.roots}
	}
	switch a.mode {
	case sentinel:
		return redis.NewFailoverClient(o.Failover())
	case cluster:
		return redis.NewClusterClient(o.Cluster())
	case socket:
		simple := o.Simple()
		simple.Network = "unix"
		return redis.NewClient(simple)
	}
	return redis.NewClient(o.Simple())
}
