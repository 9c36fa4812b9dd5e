package Jobs;

# Shared by run.pl and slurm.pl: Kaldi's command line, quoting, the script of a job, and the report of failed jobs.
#
# JOB=1:n replaces each JOB in the name of the log and in the command by the number of the job.
# The arguments are joined to one line for bash, as in Kaldi:
#   a b       an argument with blanks goes between double quotes, in which $x and `x` are expanded
#   it's, "   an argument with a quote (") or, without blanks, an apostrophe reaches the command as it is
#   other     is shell text: | && ; < > * $x keep their meaning, as in: run.pl x.log sort in.txt \| uniq \> out.txt
# A log holds the command, host and start, a line '#', the output of the command, and at the end
# `# Accounting: time=<seconds> threads=<n>` and `# Ended (code <n>) at <date>, elapsed time <n> seconds`.
use strict;
use warnings;
use Exporter       qw(import);
use File::Basename qw(basename dirname);
use File::Path     qw(make_path);

our @EXPORT = qw(fail warning read_command_line quoted log_of job_script prepare_logs report_jobs last_lines die_of_signal);

my $script = basename($0);
my $usage  = <<"END";
Usage: $script [options] [JOB=first:last] <log> <command> [arguments...]
e.g.:  $script --mem 4G JOB=1:4 exp/log/x.JOB.log python3 x.py --job JOB
Runs the command, in parallel for every JOB, and waits; exit code 1 if any job failed or is lost.
  --max-jobs-run N (or -tc N)   # run at most N jobs at a time; default: as many as the cluster takes, or one per core of
                                # this machine (per GPU with --gpu)
  --num-threads N               # threads (cores) of a job
  --gpu N                       # GPUs of a job
  --mem X, --time X             # memory (500M, 4G) and time limit (90 for minutes, 12:00:00, 2-0) of a job on a cluster
  --NAME X, -x X                # any other: passed to sbatch, as in --partition long, -A account; ignored by run.pl
END

sub warning { print STDERR "$script: WARNING: $_[0]\n"; }
sub fail    { print STDERR "$script: error: $_[0]\n"; exit 1; }

# Returns a hash: name of the job variable ('' without one), first, last, number of jobs, log, command, max-jobs-run
# (0: no limit), num-threads, gpu, and options: the other options as [name, value].
sub read_command_line {
    my %call = (name => '', first => 1, last => 1, 'max-jobs-run' => 0, 'num-threads' => 1, gpu => 0, options => []);
    while (@ARGV && $ARGV[0] =~ m{^-|^[A-Za-z_]\w*=(?:\d+\z|[^/]*:)}) {
        my $name = shift @ARGV;
        if ($name =~ /^(?:--help|-h)\z/) { print $usage; exit 0; }
        next if $name eq '-V';
        if ($name !~ /^-/) {
            fail("bad job range $name; expected 1 <= first <= last, as in JOB=1:4")
              if $name !~ /^(\w+)=([1-9]\d*)(?::(\d+))?\z/ || defined $3 && $3 < $2;
            @call{qw(name first last)} = ($1, $2, $3 // $2);
            next;
        }
        my $value = shift @ARGV;
        fail("option $name needs a value") if !defined $value || $value =~ /^--|^[A-Za-z_]\w*=\d+:\d+\z/;
        $name = '--max-jobs-run' if $name eq '-tc';
        if ($name =~ /^--(max-jobs-run|num-threads|gpu)\z/) {
            my $lowest = $1 eq 'gpu' ? 0 : 1;
            $call{$1} = $value;
            fail("bad value of $name; expected a whole number from $lowest, got '$value'")
              if $value !~ /^\d+\z/ || $value < $lowest;
        } else {
            $value .= ' ' . (shift @ARGV // '') if $name eq '-pe';
            push @{ $call{options} }, [$name, $value];
        }
    }
    if (@ARGV < 2) { print STDERR $usage; exit 1; }
    $call{log}    = shift @ARGV;
    $call{number} = $call{last} - $call{first} + 1;
    fail("$call{number} parallel jobs would write to one log, $call{log}; expected $call{name} in its name")
      if $call{number} > 1 && index($call{log}, $call{name}) < 0;
    $call{command} = join ' ', map { shell_word($_) } @ARGV;
    return \%call;
}

sub shell_word {
    my ($argument) = @_;
    if ($argument !~ /(?<!\\)(?:\\\\)*\\\z/) {    # a backslash at the end would quote the next character
        return $argument if $argument =~ /^[^\s'"]+\z/a;
        return "\"$argument\"" if $argument =~ /\s|^\z/a && $argument !~ /"/;
    }
    return quoted($argument);
}

# Returns text as one word of bash.
sub quoted {
    my ($text) = @_;
    $text =~ s/'/'\\''/g;
    $text =~ s/\r/'\$'\\r''/g;    # sbatch takes a carriage return for a script from Windows
    return "'$text'";
}

# Returns the name of the log of a job, or of all jobs for '*'.
sub log_of {
    my ($call, $job) = @_;
    return $call->{name} eq '' ? $call->{log} : $call->{log} =~ s/$call->{name}/$job/gr;
}

# Returns the script of every job, for bash. $begin sets _job to the number of the job, $end may use its exit code, _code.
# The underscores keep variables that the user has exported.
sub job_script {
    my ($call, $begin, $end) = @_;
    my $values = join '', map { "_$_=" . quoted($call->{$_}) . "\n" } qw(name log command);
    return "$values$begin" . <<'END' =~ s/THREADS/$call->{'num-threads'}/r . "${end}exit \$_code\n";
_line=$'\n'
if [ -n "$_name" ]; then _log=${_log//$_name/$_job} _command=${_command//$_name/$_job}; fi
_now() { date '+%a %b %e %H:%M:%S %Z %Y'; }
printf '# %s\n# Running on %s\n# Started at %s\n#\n' "${_command//$_line/$_line# }" "$(uname -n)" "$(_now)" >"$_log" ||
  exit 1
_start=$(date +%s)
# Through a pipe, because an argument of `bash -c` may not be longer than 128 kB.
{
  printf '(\n%s\n) </dev/null\n' "$_command" | bash >>"$_log" 2>&1
  _code=${PIPESTATUS[1]}
} 2>/dev/null
# A job that Slurm kills as a whole must not report its own end before its turn comes.
if [ "$_code" -gt 128 ] && [ -n "${SLURM_JOB_ID-}" ]; then sleep 1; fi
_seconds=$(($(date +%s) - _start))
if [ -n "$(tail -c 1 "$_log")" ]; then echo >>"$_log"; fi
printf '# Accounting: time=%s threads=THREADS\n# Ended (code %s) at %s, elapsed time %s seconds\n' \
  "$_seconds" "$_code" "$(_now)" "$_seconds" >>"$_log"
END
}

# Empties all logs before the first job starts, so that no log of an earlier run passes for one of this run.
sub prepare_logs {
    my ($call) = @_;
    for my $log (map { log_of($call, $_) } $call->{first} .. $call->{last}) {
        make_path(dirname($log), { error => \my $errors });
        open my $stream, '>', $log or fail("cannot write the log $log: $!");
    }
}

# Returns the last lines that the command wrote, indented.
sub last_lines {
    my ($log) = @_;
    open my $stream, '<', $log or return ();
    seek $stream, -65536, 2;      # fails in a shorter log, which is then read from its start
    my $text = do { local $/; <$stream> } // '';
    $text =~ s/\A# .*?^#\n//ms;
    my @lines = grep { /\S/ && !/^# (?:Accounting: |Ended |Lost )/ } split /\n/, $text;
    return map { "  $_\n" } @lines > 5 ? @lines[-5 .. -1] : @lines;
}

# Reports jobs that are "failed" or "lost"; $why->{job} is the reason, listed for each lost job.
sub report_jobs {
    my ($call, $state, $why) = @_;
    my @jobs = sort { $a <=> $b } keys %$why or return;
    my $log = log_of($call, $jobs[0]);
    if ($call->{number} == 1) {
        print STDERR "$script: error: job $state ($why->{$jobs[0]}), log is in $log\n";
        print STDERR "$script: JOB is in the log's name, but there is no JOB=1:n before it\n"
          if $call->{name} eq '' && $log =~ /JOB/;
    } else {
        my @list = map { $state eq 'lost' ? "$_ ($why->{$_})" : $_ } @jobs;
        print STDERR "$script: error: ", scalar @jobs, " / $call->{number} $state, log is in ", log_of($call, '*'),
          "; $state jobs: @list\n";
    }
    my @lines = last_lines($log);
    print STDERR "$script: last lines of $log ($why->{$jobs[0]}):\n", @lines ? @lines : "  (the command wrote nothing)\n";
}

# Reports the signal that stopped all jobs, and dies of it, so that the caller sees it.
sub die_of_signal {
    my ($call, $signal) = @_;
    print STDERR "$script: error: stopped by SIG$signal, and all jobs with it; log is in ", log_of($call, '*'), "\n";
    $SIG{$signal} = 'DEFAULT';
    kill $signal, $$;
    exit 1;
}

1;
