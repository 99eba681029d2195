// Package explain says what is wrong with an OTT Pay message: the first thing
// that is, and where it can, the rule that the sender got wrong.
//
// It is a decryption oracle by design: it tries wrong derivations, other
// ciphers and other digests until one fits. It serves a developer who has the
// sign key, on a command line or on a page of this machine, and must never
// stand behind an address that others reach.
//
// A message that the kit opens is never called broken by the steps up to the
// digest: the kit's own reader and opener come first, and the search begins
// where they refuse. Plaintext is shown only if a given key decrypted it, and
// no key is ever shown.
package explain
