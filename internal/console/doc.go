// Package console is the HTML face of package service: what a person does with
// Boathook in a browser. It knows the operations and no store.
//
// # How a page is made
//
// A page is a [handler]: it reads what it shows by operations, and answers with
// [request.page], which names a template below templates/ and hands it a [view]. It
// writes nothing itself, so that a page is whole or an error. Reads that don't depend
// on one another are made at once, by [beside]; that the session is still good is
// checked meanwhile. A page makes at most two round trips to the store, one after the
// other.
//
// A change is a handler of a POST: it calls one operation and answers with
// [request.redirect], which shows a toast on the page that follows. Where the operation
// says what was wrong with a field, the form is shown again by [request.invalid], with
// what was typed and the error beside its field. Inputs therefore have the API's names
// of fields. A secret is shown by the answer to the POST itself, once: it is in no URL.
//
// Templates get times, sizes and ids as they are and show them by functions; see
// [functions]. Whatever a stranger may have sent (names, bodies, headers, log lines) is
// printed by the function text, which shows control and direction characters instead of
// applying them. Each template of a page defines "content"; parts that several pages
// use are in templates/parts.
//
// All looks are in assets/style.css, whose tokens and classes its head explains. The
// Content-Security-Policy allows no inline script and no inline style. Every form and
// every link works without JavaScript: assets/console.js and htmx add to them.
package console
