package cli

import (
	"context"

	"github.com/spf13/cobra"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

func customerID(c client.Customer) string         { return c.ID }
func customerName(c client.Customer) string       { return c.Name }
func customerExternalID(c client.Customer) string { return orEmpty(c.ExternalID) }

func customersCommand(s *session) *cobra.Command {
	return noun[client.Customer, client.CustomerInput]{
		name: "customers", one: "customer", aliases: []string{"customer"},
		long: "Work with customers: whom webhooks are sent to. One is found by its external\nid, its name or its id.",
		columns: []column[client.Customer]{
			{"NAME", customerName}, {"EXTERNAL ID", customerExternalID}, {"ID", customerID},
			{"CREATED", func(c client.Customer) string { return moment(c.CreatedAt) }},
		},
		list: listing((*client.Client).Customers),
		find: func(ctx context.Context, c *client.Client, _ *cobra.Command, name string) (client.Collection[client.Customer, client.CustomerInput], string, error) {
			id, err := findCustomer(ctx, c, name)
			return c.Customers(), id, err
		},
		create: &creation[client.Customer, client.CustomerInput]{
			arguments: "NAME", args: exactly("the name"), flags: addCustomerFlags,
			make: func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) (client.Customer, error) {
				in := customerInput(cmd)
				in.Name = &args[0]
				return c.Customers().Create(ctx, in)
			},
		},
		update: &change[client.CustomerInput]{
			flags: func(c *cobra.Command) {
				c.Flags().String("name", "", "its new name")
				addCustomerFlags(c)
			},
			input: func(cmd *cobra.Command) (client.CustomerInput, error) {
				in := customerInput(cmd)
				if in.Name = text(cmd.Flags(), "name"); in.Name == nil && in.ExternalID == nil && in.Metadata == nil {
					return in, errNothingToChange
				}
				return in, nil
			},
		},
		delete: true,
		examples: map[string]string{
			"list": "  boathook customers list", "get": "  boathook customers get acct_1042",
			"create": "  boathook customers create Acme --external-id acct_1042 --metadata plan=team",
			"update": "  boathook customers update acct_1042 --metadata plan=enterprise", "delete": "  boathook customers delete acct_1042",
		},
	}.command(s, portalCommand(s))
}

func portalCommand(s *session) *cobra.Command {
	c := &cobra.Command{
		Use: "portal NAME", Short: "Make a link to a customer's portal", Args: exactly("the customer's external id, name or id"),
		Long: `Makes a link to a customer's portal, and shows it once. Whoever has the link can set up
the customer's webhooks, and see its deliveries and events, until the link ends.`,
		Example: "  boathook customers portal acct_1042 --expires 86400",
		RunE: s.runner(func(c *client.Client, cmd *cobra.Command, args []string) error {
			id, err := findCustomer(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return s.shown(c.Portal(cmd.Context(), id, number(cmd.Flags(), "expires")))
		}),
	}
	c.Flags().Int("expires", 0, "seconds for which it is good (default: an hour)")
	return c
}

func addCustomerFlags(c *cobra.Command) {
	c.Flags().String("external-id", "", "what you call it, as no other customer is called; empty for nothing")
	c.Flags().StringToString("metadata", nil, "notes of your own, as NAME=VALUE, in place of those that it has")
}

// customerInput is what the flags of [addCustomerFlags] say.
func customerInput(cmd *cobra.Command) (in client.CustomerInput) {
	f := cmd.Flags()
	if id := text(f, "external-id"); id != nil {
		in.ExternalID = new(*string)
		if *id != "" {
			in.ExternalID = &id
		}
	}
	if f.Changed("metadata") {
		in.Metadata, _ = f.GetStringToString("metadata")
	}
	return in
}

// findCustomer gives the id of the customer that has a name, an external id or an id.
// External ids are looked up: no two customers have the same, and there may be many.
func findCustomer(ctx context.Context, c *client.Client, name string) (string, error) {
	if isID(boathook.CustomerID, name) {
		return name, nil
	}
	if boathook.IsForeignID(name) {
		for found, err := range c.Customers().Where("external_id", name).All(ctx) {
			return found.ID, err
		}
	}
	return named(c.Customers().All(ctx), "customer", name, boathook.CustomerID, customerID, customerName)
}
