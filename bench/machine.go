package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// machine says in lines of Markdown on what and with what was measured.
func machine() []string {
	cpu := cpuid.CPU.BrandName
	if cpu == "" {
		cpu = "unknown CPU"
	}
	lines := []string{
		fmt.Sprintf("%s, %d cores, %s/%s, %s, GOGC=%d and %d.", cpu, runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH,
			runtime.Version(), gogcs[0], gogcs[1]),
		fmt.Sprintf("kami at %s; ServeMux is net/http's.", revision()),
	}
	var named []string
	for _, p := range peers {
		if p.module != "" {
			named = append(named, fmt.Sprintf("%s %s", p.name, version(p.module)))
		}
	}
	return append(lines, "Peers: "+strings.Join(named, ", ")+".")
}

// version is that of a module which is part of this program.
func version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Version
		}
	}
	return "of an unknown version" // as in tests
}

// revision is what Git has here. Nothing else depends on Git, so it may be missing.
func revision() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty=, with changes").Output()
	if err != nil {
		return "an unknown revision"
	}
	return strings.TrimSpace(string(out))
}
