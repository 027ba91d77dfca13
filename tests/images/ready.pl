# A web server that says what ksqlDB (at port 8088) or the web UI (at 8080) says once it is ready.
use strict;
use warnings;
use IO::Socket::INET;

my $is_ksqldb = defined $ENV{KSQL_LISTENERS};
my $body = $is_ksqldb ? '{"KsqlServerInfo":{"serverStatus":"RUNNING"}}' : '{"status":"UP"}';
my $server = IO::Socket::INET->new(
    LocalPort => $is_ksqldb ? 8088 : 8080,
    Listen    => 9,
    ReuseAddr => 1,
) or die "cannot listen: $!";

$| = 1;
$SIG{TERM} = sub { exit };
print "listening\n";
while (my $client = $server->accept) {
    my $request = <$client>;
    my $length = length $body;
    print $client "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: $length\r\n\r\n$body";
    close $client;
}
