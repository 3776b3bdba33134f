// Package compat proves that middleware of others works with kami as it is: its tests run real packages through
// kami.Use, over an independent Mux and over the default one, and ask them over real connections.
// It is a module of its own, so that what it tests with is no dependency of kami.
package compat
