// Package boathook is the domain: the words of a webhook platform and the
// rules that hold for them wherever they are stored, queued or sent.
//
// A [Source] (a deployment, a repository, an app) belongs to a workspace. A
// deployment has numbered [Version]s, of which one is live in each
// [Environment]. An [IncomingWebhook] is a URL that starts a [Run] of the live
// version; a run that is over becomes an [Event], and users publish those of
// other sources; each [OutgoingWebhook] that wants the event gets one
// [Delivery], which has attempts.
//
// The package imports the standard library only, and holds no state.
package boathook
