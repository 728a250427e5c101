//go:build tools

// Package tools pins Istio's control plane, which the tests of the istio provider build.
package tools

import (
	_ "istio.io/istio/pilot/cmd/pilot-discovery"
)
