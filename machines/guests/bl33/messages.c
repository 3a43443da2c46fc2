#include "client.h"

void message_tests(void)
{
}
