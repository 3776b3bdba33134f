package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const patience = 30 * time.Second // for one step of the browser

// tab is a tab of the browser. Its methods fail the test if they fail, or take too long.
type tab struct {
	*testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // of the browser, about the page
}

// open opens a tab, and runs the actions before it loads a page.
func open(t *testing.T, browser context.Context, before ...chromedp.Action[chromedp.Void]) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	b := &tab{T: t, ctx: ctx}
	require.NoError(t, chromedp.Do(ctx))
	require.NoError(t, chromedp.Listen(ctx, b.hear))
	b.do(call(log.Enable, cdp.Empty{}), call(audits.Enable, cdp.Empty{}), call(page.Enable, page.EnableParams{}))
	b.do(before...)
	return b
}

// hear records the browser's messages about the page.
func (b *tab) hear(event any) {
	var complaint string
	switch event := event.(type) {
	case *log.EventEntryAdded:
		complaint = fmt.Sprintf("log: %s %s %s", event.Entry.Level, event.Entry.Text, event.Entry.URL)
	case *audits.EventIssueAdded:
		details, _ := json.Marshal(event.Issue.Details)
		complaint = fmt.Sprintf("issue: %s %s", event.Issue.Code, details)
	case *runtime.EventConsoleAPICalled:
		complaint = "console: " + string(event.Type)
	case *runtime.EventExceptionThrown:
		complaint = "exception: " + event.ExceptionDetails.Text
	case *page.EventJavascriptDialogOpening:
		complaint = "dialog: " + event.Message
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, complaint)
}

// heard returns the browser's messages so far.
func (b *tab) heard() []string {
	b.Helper()
	evaluate[bool](b, "true") // what it had to say came before this answer
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.complaints)
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	for _, action := range actions {
		run(b, action)
	}
}

// load loads a page.
func (b *tab) load(url string) {
	b.Helper()
	b.do(chromedp.Navigate(url))
}

// leave runs an action that makes the tab load another page, and waits for it.
func (b *tab) leave(action chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, action)
	require.NoError(b, err)
}

// run runs an action and returns its result.
func run[V any](b *tab, action chromedp.Action[V]) V {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the browser took more than %v: %w", patience, err)
	}
	require.NoError(b, err)
	return v
}

// evaluate returns the value of an expression of JavaScript, which the browser evaluates also where the page must not.
func evaluate[V any](b *tab, expression string) V {
	b.Helper()
	return run(b, chromedp.Evaluate[V](expression))
}

// call makes an action of a command without its result.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// scheme makes the browser's scheme of colours "light" or "dark".
func scheme(name string) chromedp.Action[chromedp.Void] {
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}
	return call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
}

// accessible returns what the page tells a screen reader: role and name of each element with one of the roles, and its
// description, if any, in parentheses.
func (b *tab) accessible(roles ...string) []string {
	b.Helper()
	tree := run(b, func(ctx context.Context, t *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		return cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	})
	var all []string
	for _, node := range tree.Nodes {
		role := text(node.Role)
		if node.Ignored || !slices.Contains(roles, role) {
			continue
		}
		for _, p := range node.Properties {
			if p.Name == "level" || p.Name == "invalid" && text(p.Value) != "false" {
				role += " " + string(p.Name) + " " + text(p.Value)
			}
		}
		line := strings.TrimSpace(role + ": " + text(node.Name))
		if description := text(node.Description); description != "" {
			line += " (" + description + ")"
		}
		all = append(all, line)
	}
	return all
}

// text returns a value of the accessibility tree, which is JSON, as text.
func text(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var value any
	if err := json.Unmarshal(v.Value, &value); err != nil {
		return err.Error()
	}
	return fmt.Sprint(value)
}
