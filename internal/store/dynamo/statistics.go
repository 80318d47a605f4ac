package dynamo

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// An hour's item has an attribute for each number that is not 0, so that one update adds
// to all of them: s, f and r for what deliveries were after the attempts, and one for each
// step of durations, by its milliseconds. It stays below one write unit.
const stepAttr = "d"

// CountAttempts implements [store.Statistics].
func (s *Store) CountAttempts(ctx context.Context, id string, c boathook.AttemptCounts) error {
	if err := store.CheckIDs(id); err != nil {
		return err
	}
	var added []string
	values := item{":x": num(s.expiry())}
	add := func(attr string, n int) {
		if n != 0 {
			added = append(added, attr+" :"+attr)
			values[":"+attr] = num(int64(n))
		}
	}
	add("s", c.Succeeded)
	add("f", c.Failed)
	add("r", c.Retrying)
	for step, n := range c.Durations {
		add(stepAttr+strconv.FormatInt(step.Milliseconds(), 10), n)
	}
	if len(added) == 0 {
		return nil
	}
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.config.RecordsTable, Key: statisticsKey(id, boathook.StatisticsHour(c.From)).item(),
		UpdateExpression: aws.String("SET x = :x ADD " + strings.Join(added, ", ")), ExpressionAttributeValues: values,
	})
	if err != nil {
		return fmt.Errorf("count attempts of %s: %w", id, err)
	}
	return nil
}

// AttemptCounts implements [store.Statistics].
func (s *Store) AttemptCounts(ctx context.Context, id string, since, until time.Time) (hours []boathook.AttemptCounts, err error) {
	first, last := statisticsKey(id, since), statisticsKey(id, until.Add(-time.Millisecond))
	if first.SK > last.SK {
		return nil, nil // which DynamoDB would refuse
	}
	for it, err := range s.items(ctx, &dynamodb.QueryInput{
		TableName:                 &s.config.RecordsTable,
		KeyConditionExpression:    aws.String("pk = :p AND sk BETWEEN :first AND :last"),
		ExpressionAttributeValues: item{":p": str(first.PK), ":first": str(first.SK), ":last": str(last.SK)},
	}) {
		if err != nil {
			return nil, fmt.Errorf("read the counts of %s: %w", id, err)
		}
		c, err := countsOf(it)
		if err != nil {
			s.unreadable(ctx, err)
			continue
		}
		hours = append(hours, c)
	}
	return hours, nil
}

func countsOf(it item) (c boathook.AttemptCounts, err error) {
	fail := func(err error) (boathook.AttemptCounts, error) {
		return boathook.AttemptCounts{}, fmt.Errorf("decode item %s: %w", keyOf(it), err)
	}
	from, err := strconv.ParseInt(textIn(it, skAttr), 10, 64)
	if err != nil {
		return fail(err)
	}
	c.From, c.Durations = time.UnixMilli(from).UTC(), make(map[time.Duration]int)
	numbers, err := decode[struct {
		Succeeded int `dynamodbav:"s"`
		Failed    int `dynamodbav:"f"`
		Retrying  int `dynamodbav:"r"`
	}](it)
	if err != nil {
		return c, err
	}
	c.Succeeded, c.Failed, c.Retrying = numbers.Succeeded, numbers.Failed, numbers.Retrying
	for attr := range it {
		ms, found := strings.CutPrefix(attr, stepAttr)
		if !found {
			continue
		}
		step, err := strconv.ParseInt(ms, 10, 64)
		if err != nil {
			return fail(err)
		}
		n, err := decode[map[string]int](item{attr: it[attr]})
		if err != nil {
			return c, err
		}
		c.Durations[time.Duration(step)*time.Millisecond] = n[attr]
	}
	return c, nil
}
