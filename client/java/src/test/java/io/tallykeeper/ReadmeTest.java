package io.tallykeeper;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The README's examples compile, and its table has every exception. */
class ReadmeTest {
  private static final Pattern EXAMPLE = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);

  @ParameterizedTest
  @MethodSource("examples")
  void compiles(String example, @TempDir Path folder) {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    DiagnosticCollector<JavaFileObject> found = new DiagnosticCollector<>();
    List<String> options = List.of("-d", folder.toString(), "-classpath", System.getProperty("java.class.path"));
    assertTrue(
        compiler.getTask(null, null, found, options, null, List.of(new Source(example))).call(),
        () -> found.getDiagnostics().toString());
  }

  @Test
  void namesEveryException() throws IOException {
    String readme = readme();
    try (Stream<Path> sources = Files.list(Path.of("src", "main", "java", "io", "tallykeeper"))) {
      List<String> missing =
          sources
              .map(path -> path.getFileName().toString().replace(".java", ""))
              .filter(name -> name.endsWith("Exception") && !readme.contains("`" + name + "`"))
              .toList();
      assertEquals(List.of(), missing);
    }
  }

  static List<String> examples() throws IOException {
    return EXAMPLE.matcher(readme()).results().map((MatchResult found) -> found.group(1)).toList();
  }

  private static String readme() throws IOException {
    return Files.readString(Path.of("README.md"));
  }

  /** An example as a class: its imports, and its statements in a method. */
  private static final class Source extends SimpleJavaFileObject {
    private final String code;

    Source(String example) {
      super(URI.create("string:///Example.java"), Kind.SOURCE);
      String imports = example.lines().filter(Source::isImport).collect(Collectors.joining("\n"));
      String body = example.lines().filter(line -> !isImport(line)).collect(Collectors.joining("\n"));
      this.code = imports + "\nclass Example { void run() throws Exception {\n" + body + "\n} }";
    }

    @Override
    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
      return code;
    }

    private static boolean isImport(String line) {
      return line.startsWith("import ");
    }
  }
}
