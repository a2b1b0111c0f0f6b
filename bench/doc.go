// Package bench measures idserver beside other libraries. Its benchmarks are its tests' business. In its folder programs are those of
// the guide that use packages which no module of ours requires.
package bench
