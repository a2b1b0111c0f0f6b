package redisstore

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// swapScript compares and writes in one step, as Redis runs one script at a time. KEYS[1] has the value ARGV[1]: it becomes ARGV[2] for
// ARGV[3] milliseconds; it goes if these are none. (SET has IFEQ from Redis 8.4 and Valkey 8.1 on, and no fallback.)
const swapScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[3]) > 0 then
	redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
	redis.call('DEL', KEYS[1])
end
return 1
`

var swapHash = redis.NewScript(swapScript).Hash()

// SwapCtx makes value the value of key until expiry if its value is old (a script of three lines); with old nil, if it has none (SET NX).
func (s *Store) SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (swapped bool, err error) {
	life := lifeUntil(expiry)
	switch {
	case old == nil && life > 0:
		swapped, err = s.begin(ctx, s.named(key), value, life)
	case old == nil:
		swapped, err = s.absent(ctx, key)
	default:
		swapped, err = s.replace(ctx, s.named(key), old, value, life)
	}
	return swapped, s.fault("swap", err)
}

// begin sets a value where there is none.
func (s *Store) begin(ctx context.Context, name string, value []byte, life int64) (swapped bool, err error) {
	_, err = s.write(ctx, "set", name, value, "nx", "px", life)
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}

// absent reports whether there is no value: to put one there that has expired changes nothing.
func (s *Store) absent(ctx context.Context, key string) (bool, error) {
	_, found, err := s.FindCtx(ctx, key)
	return err == nil && !found, err
}

// replace sets a value where the old one is.
func (s *Store) replace(ctx context.Context, name string, old, value []byte, life int64) (swapped bool, err error) {
	answer, err := s.write(ctx, "evalsha", swapHash, 1, name, old, value, life)
	if redis.HasErrorPrefix(err, "NOSCRIPT") { // it did not happen: the server was started anew, or is another one
		answer, err = s.write(ctx, "eval", swapScript, 1, name, old, value, life)
	}
	return answer == int64(1), err
}
