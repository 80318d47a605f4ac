package preset

// None is the name of a preset.
const None = "none"

// none is the token in the URL alone (Crewship deployments, "Webhooks").
var none = preset{
	name: None, form: eitherForm,
	events: oneOf(inInput("/event"), inInput("/type")),
}
