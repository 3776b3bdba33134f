package main

import (
	"cmp"
	"fmt"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// machine says in lines of Markdown on what and with what was measured. Git and what the build knows may be missing.
func machine() []string {
	revision, err := exec.Command("git", "describe", "--always", "--dirty=, with changes").Output()
	if err != nil {
		revision = []byte("an unknown revision")
	}
	var named []string
	info, _ := debug.ReadBuildInfo()
	for _, p := range peers {
		for _, m := range info.Deps {
			if strings.Contains(m.Path+"/", "/"+p.name+"/") {
				named = append(named, p.name+" "+m.Version)
			}
		}
	}
	return []string{
		fmt.Sprintf("%s, %d cores, %s/%s, %s, GOGC=%d and %d.", cmp.Or(cpuid.CPU.BrandName, "unknown CPU"),
			runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH, runtime.Version(), gogcs[0], gogcs[1]),
		fmt.Sprintf("kami at %s; ServeMux is net/http's.", strings.TrimSpace(string(revision))),
		"Peers: " + strings.Join(named, ", ") + ".",
	}
}
