package main

import (
	"fmt"
	"os"
	"regexp"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// profiles measures where kami's time goes in the rows that miss a target of time, for as long for each.
func profiles(rows []*row, all series, long time.Duration) (found []string) {
	for i, r := range rows {
		missed := slices.ContainsFunc(all.verdicts(i, r), func(v verdict) bool {
			return v.target.of != allocations && v.missed()
		})
		if missed {
			found = append(found, r.title()+": "+strings.Join(profile(r.field()[0], long), ", "))
		}
	}
	return found
}

// named are the functions that a profile names. What others do is done for them.
const named = `^(main|context|net/|github\.com/)|` +
	`^runtime\.(mallocgc|gcBgMarkWorker|gcStart|bgsweep|bgscavenge|wbBufFlush|bulkBarrierPreWrite|mcall|asyncPreempt)$`

// share is a line of what pprof prints: how much of the time a function takes, and its name.
var share = regexp.MustCompile(`(?m)^ *\S+ +(\S+)% +\S+% +\S+ +\S+% +(?:github.com/guregu/)?(.+)$`)

// profile runs the contestant and returns where its time went, the most first.
func profile(c *contestant, long time.Duration) (shares []string) {
	n := perSlice(c, long)
	file := must(os.CreateTemp("", "bench"))
	defer func() { _ = os.Remove(file.Name()) }()
	check(pprof.StartCPUProfile(file))
	c.run(n)
	pprof.StopCPUProfile()
	check(file.Close())
	top := must(output(nil, "go", "tool", "pprof", "-top", "-noinlines", "-nodecount=8", "-show="+named, file.Name()))
	top = regexp.MustCompile(`\[go\.shape\S*\]`).ReplaceAll(top, nil) // the types that a generic function was made for
	for _, line := range share.FindAllSubmatch(top, -1) {
		shares = append(shares, fmt.Sprintf("%s %s %%", line[2], line[1]))
	}
	return shares
}
