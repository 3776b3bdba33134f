// Package recipes is the code of docs/recipes.md: each of the page's Go blocks stands in an Example or a test here,
// which shows that it does what the page says.
package recipes
