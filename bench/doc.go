// Package bench measures idserver beside other libraries. Its benchmarks are its tests' business.
package bench
