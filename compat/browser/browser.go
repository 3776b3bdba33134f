// Package browser starts Chromium for tests.
package browser

import (
	"context"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const (
	lifetime = 10 * time.Minute // of the browser, whatever happens
	patience = 30 * time.Second // for its end
)

// Start starts Chromium for the test, and ends it with the test. Without a chromium in PATH the test is skipped. The context is for
// chromedp.NewContext, which opens a tab.
func Start(t *testing.T) context.Context {
	t.Helper()
	executable, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium in PATH; Debian's package chromium has it")
	}
	ctx, cancel := context.WithTimeout(context.Background(), lifetime)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(executable), chromedp.CombinedOutput(io.Discard))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to have one as root
	}
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("the browser was not closed gracefully: %v", err)
		}
	})
	return ctx
}
