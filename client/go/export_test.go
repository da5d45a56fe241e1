package tallykeeper

// FreeAddress is for the tests of package tallykeeper_test.
var FreeAddress = freeAddress
