#include "client.h"

void notification_tests(void)
{
}
