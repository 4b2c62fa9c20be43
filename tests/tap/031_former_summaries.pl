# Summaries as release 0.2 wrote them, without deviations, numbers and bytes of segments, are read as before, and
# replaced by complete ones when one of their segments is.
use strict;
use warnings;
use Compress::Zlib;
use MIME::Base64;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# the file of a table that release 0.2's format has, frozen by VACUUM: 200,000 rows (i * 1000, 'a', {i * 0.5, 7})
my $file = Compress::Zlib::memGunzip(decode_base64(<<'END'));
H4sIAAAAAAACA+3Zf0yUdRzA8c9zP7jjTs5HUxTQfEAlAX9c2JRlo8e5hBXOa/yRgI6zkrmsca42NMd8ppFOS09NMRK4wTWhraDMzWazi2pz/VGXOudWbTey
RrU5aqwo+6OvPN/PfT/frO//bc93fOCBHa9788/nHgAAQD/Xv+im1wMZGAiB4THYl2C49wxEexPg7+2D4Z4+2MQG2Ax090GEzeSZJCTY1LIZfyMJp9mYbMa6
khBnU8Um83oSDrIJs7lxOgkWmyVs0p1J2MXGYHP5VBJibOaySZ1MwnY2OpsLryUhysbPZvhEEjaxATYDx5MQYTN5jD0/m1o243H2/GxMNmNH2fOzqWIzcCRf
A+c4xznOcY5znOMc5zjHOc5xzv/qTLjkzytBA1dwLtTWa65MSWI5fn3MjVdp3533BnvcVj1UoBWCbppaCehwG6xqc2P7QvCY5hNamdes85aA33yMXrqhJcc8
tNJdAjEo9om3wB+t/95zv+jRavfnnhU9F4JTFyM/T3008+70uIo0cBdoLKjCC9NN01vs+4+fM0zcJ1eVvJ919++2XeC+zt1xF3eHQyp3BXGbZ+x7RvSusT1r
t+xm0I0q3eXEvbLu2kOi96+AfbVGdtPo6kp3GXGtEzAkei/ZrsV9dFPopvJU7lLiPrjqpSOidy/vvSS7w+jGlG4FcZ8ambdO9K7lvXtlN4GuoXTLiVu5eaxK
9Lp471rZjaObnqZyy4i7Nji2QPR+mmv3umTXQtdSukuIW/3xyCnR22G7wH10Y+iGle59xA1+u+W26K3hvR2yG0U3E1S5pcT1da3/SvT6eW+N7EbQjSvdxcS9
vviLm6L3c7/d65ddE11T6S4i7kDNA3tE72HbBe6jG0Z3PKByFxL3y/f2rBe9G3jvYdk10E0o3RLiPho7u1j0hnjvBtnV0Y0o3WLinjs4Oy567dcBsEKyC+iC
0jWIe7Xp4T7Re8xHX2fE/tVw/+aq3AXEbf39kSuit573HpPdDLpRpXsvceevWB0QvbP4t9TLbhpdXenOJ+7bdS0fid7rOXbvLNlNoZvyq9x5xC1y9daK3k7b
Be5n9y+6MaVbRFzX9g8OiN4G3tspuwl0DaVbSNyJOW3NoreQ9zbIbhzdtE/lFhD3gNm2S/R+47V7C2XXQtdSunOJO3loyy+it9t2gfvZ/YtuWOnOIe4rgUU/
it5m3tstu1F0MzkqN5+4Ld8d/170Gry3WXYj6MaV7mzi9h+fNyh6Rz12ryG7Jrqm0p1F3A2DmR9Eb7/tAvez+xfdca/KvYe45ZuHvha923hvv+wa6CaU7kzi
DvU8f0H0lvLebbKroxtRujOI21g/ekv08jtyq1R2AV1Qujpx93747K+id9At3fFn9y/g/vWo3OnE/UTP3yd6d/DeQdnNoBtVuiHivnv56UbRu5T37pDdNLq6
0s0jrrn6apfovWU/0loquyl0U26VO424v+0uf070DvFHcj+7f9GNKd0gcUebVpL73528d0h2E+gaSjdA3DevtL4geiv5I3fKbhzdtEvl5tL7s47WetE7Yf8P
0aqUXQtdS+n6ibtsY+gt0Xue/2+S+7ZbqMVw/UrsXa6P3lc3/lQnett473nZjeL61ZRuDnEDwYaXRW8V722T3QiuX7XrJe5nW33kfvJP+8Kqkl0T16/a9RC3
98arNaL3Ir/iPrphXL+gdN309/mKk++I3nbee1F2DVy/atdF3KMvznxc9Fbzq3bZ1afccm/EZv/pacRrqrjWc9ffQaxq6hXYW7csu3P/BoBC4HcAIAAA
END
is(length $file, 8192, 'the file is one page');

my $node = PostgreSQL::Test::Cluster->new('former');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off");
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE EXTENSION pageinspect;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[]);
INSERT INTO h SELECT i * 1000, 'a', ARRAY[i * 0.5, 7] FROM generate_series(1, 200000) i;
CREATE FUNCTION summaries() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(DISTINCT get_byte(t_data, 3)::text, ',') FROM generate_series(0, pg_relation_size('m') / 8192 - 1) b,
		LATERAL heap_page_items(get_raw_page('m', b::int)) WHERE lp_flags = 1 AND t_xmax = 0 AND get_byte(t_data, 3) & 2 > 0
$$;
CREATE FUNCTION deviations(e bigint, n integer) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT time || ' ' || round(values[1]::numeric, 6) || ' ' || values[2] FROM historian.downsample('m', 'a', 0, e, n, 'stddev') ORDER BY time
$$;
CREATE FUNCTION expected(e bigint, n integer) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT (time + e / n - 1) / (e / n) * (e / n) || ' ' || round(stddev_samp(values[1]::numeric), 6) || ' 0' FROM h GROUP BY (time + e / n - 1) / (e / n) ORDER BY (time + e / n - 1) / (e / n)
$$;
END
my $path = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('m')");
$node->stop;
open my $out, '>:raw', $path or die "$path: $!";
print $out $file;
close $out;
$node->start;
$node->safe_psql('postgres', 'REINDEX TABLE m');

my $same = 'SELECT count(*) FROM ((TABLE m EXCEPT ALL TABLE h) UNION ALL (TABLE h EXCEPT ALL TABLE m)) d';
my $stored = q{SELECT i.samples = (SELECT count(*) FROM h), i.first_time = (SELECT min(time) FROM h), i.last_time = (SELECT max(time) FROM h),
		i.bytes = t.bytes, (i.samples, i.segments, i.bytes) = (s.samples, s.segments, s.bytes)
	FROM historian.tag_info('m', 'a') i, historian.tag_stat('m', 'a') t,
		(SELECT sum(samples), sum(segments), sum(bytes) FROM historian.segments('m', 'a')) s(samples, segments, bytes)};
sub checked
{
	my ($what, $kinds) = @_;
	is($node->safe_psql('postgres', 'SELECT summaries()'), $kinds, "$what: the flags of summaries");
	is($node->safe_psql('postgres', $same), '0', "$what: rows");
	is($node->safe_psql('postgres', q{SELECT DISTINCT problem FROM historian.check('m')}), '', "$what: check");
	is($node->safe_psql('postgres', "SELECT deviations(200000000, $_)"), $node->safe_psql('postgres', "SELECT expected(200000000, $_)"), "$what: deviations of $_ periods")
		for (1, 4);
	is($node->safe_psql('postgres', q{SELECT values[1] FROM historian.downsample('m', 'a', 0, 200000000, 1, 'sum')}), $node->safe_psql('postgres', 'SELECT sum(values[1]) FROM h'), "$what: sum");
	is($node->safe_psql('postgres', $stored), 't|t|t|t|t', "$what: tag_info and segments");
}
checked('as it was', '2');
$node->safe_psql('postgres', "SELECT historian.rename('m', 'a', 'b')");
is($node->safe_psql('postgres', 'SELECT summaries()'), '2', 'a rename copies them');
is($node->safe_psql('postgres', "SELECT historian.rename('m', 'b', repeat('b', 256))"), $node->safe_psql('postgres', 'SELECT count(*) FROM h'), 'a rename to the longest tag');
$node->safe_psql('postgres', "SELECT historian.rename('m', repeat('b', 256), 'a')");
$node->safe_psql('postgres', "DELETE FROM $_ WHERE time = 90000000") for ('m', 'h');
checked('a row deleted', '66');
$node->stop;
done_testing();
